/**
 * Dates, times, numbers and texts from one another: the macros of `macros.ts` that convert and calculate
 * with dates.
 *
 * @since 0.1.0
 */

const padded = (value: string, width: number) => `system.main.lpad((${value})::VARCHAR, ${width}, '0')`

/** The elements of Snowflake's date formats, longer before shorter, and what each shows of `t`. */
const elements: ReadonlyArray<readonly [string, string]> = [
  ["YYYY", padded("year(t)", 4)],
  ["YY", padded("year(t) % 100", 2)],
  ["MMMM", "system.main.monthname(t)"],
  ["MON", "left(system.main.monthname(t), 3)"],
  ["MM", padded("month(t)", 2)],
  ["MI", padded("minute(t)", 2)],
  ["DD", padded("day(t)", 2)],
  ["DY", "left(system.main.dayname(t), 3)"],
  ["HH24", padded("hour(t)", 2)],
  ["HH12", padded("(hour(t) + 11) % 12 + 1", 2)],
  ["HH", padded("hour(t)", 2)],
  ["SS", padded("second(t)", 2)],
  ["FF3", padded("millisecond(t) % 1000", 3)],
  ["FF6", padded("microsecond(t) % 1000000", 6)],
  ["FF9", `${padded("microsecond(t) % 1000000", 6)} || '000'`],
  ["FF", padded("microsecond(t) % 1000000", 6)],
  ["AM", "CASE WHEN hour(t) < 12 THEN 'AM' ELSE 'PM' END"],
  ["PM", "CASE WHEN hour(t) < 12 THEN 'AM' ELSE 'PM' END"],
  ['"', "''"]
]

// strftime takes no format from a parameter.
const shown = elements.reduce(
  (text, [element, value]) => `replace(${text}, '${element}', ${value})`,
  "upper(f)"
)

/**
 * @since 0.1.0
 * @category data
 */
export const dates: ReadonlyArray<string> = [
  `sg_show(t, f) AS ${shown}`,
  ...["year", "month", "day"].map(
    (unit) => `sg_add_${unit}(n, d) AS cast_to_type(d + to_${unit}s(n::INTEGER), d)`
  ),
  "sg_add_week(n, d) AS cast_to_type(d + to_days(7 * n::INTEGER), d)",
  "sg_add_quarter(n, d) AS cast_to_type(d + to_months(3 * n::INTEGER), d)",
  ...["hour", "minute", "second"].map((unit) => `sg_add_${unit}(n, d) AS d + to_${unit}s(n::BIGINT)`),
  "sg_add_millisecond(n, d) AS d + to_microseconds(1000 * n::BIGINT)",
  "sg_add_microsecond(n, d) AS d + to_microseconds(n::BIGINT)",
  "date_trunc(part, d) AS cast_to_type(system.main.date_trunc(part, d), d)",
  "trunc(x) AS system.main.trunc(x), (x, n) AS system.main.trunc(x, n)",
  "add_months(d, n) AS cast_to_type(d + to_months(n::INTEGER), d)",
  "months_between(a, b) AS (date_diff('month', b, a) + (day(a) - day(b)) / 31)::DOUBLE",
  `last_day(d) AS system.main.last_day(d), (d, part) AS CASE lower(part)
     WHEN 'year' THEN make_date(year(d), 12, 31)
     WHEN 'quarter' THEN system.main.last_day(make_date(year(d), 3 * quarter(d), 1))
     WHEN 'week' THEN (system.main.date_trunc('week', d) + to_days(6))::DATE
     ELSE system.main.last_day(d) END`,
  "sg_weekday(name) AS list_position(['su', 'mo', 'tu', 'we', 'th', 'fr', 'sa'], lower(left(name, 2))) - 1",
  "next_day(d, name) AS d::DATE + (1 + (sg_weekday(name) - dayofweek(d) + 6) % 7)::INTEGER",
  "previous_day(d, name) AS d::DATE - (1 + (dayofweek(d) - sg_weekday(name) + 6) % 7)::INTEGER",
  "dayname(d) AS left(system.main.dayname(d), 3)",
  "monthname(d) AS left(system.main.monthname(d), 3)",
  "dayofweekiso(d) AS isodow(d)",
  "weekiso(d) AS week(d)",
  "yearofweek(d) AS isoyear(d)",
  "yearofweekiso(d) AS isoyear(d)",
  "date_from_parts(y, m, d) AS (make_date(y::BIGINT, 1, 1) + to_months(m::INTEGER - 1) + to_days(d::INTEGER - 1))::DATE",
  "time_from_parts(h, m, s) AS make_time(h, m, s)",
  ...["timestamp_from_parts", "timestamp_ntz_from_parts"].map(
    (name) => `${name}(y, mo, d, h, mi, s) AS make_timestamp(y, mo, d, h, mi, s)`
  ),
  "current_timestamp() AS now(), (p) AS now()",
  "current_date() AS system.main.current_date()",
  "current_time() AS now()::TIME",
  "getdate() AS now()",
  "sysdate() AS now()::TIMESTAMP",
  "systimestamp() AS now()",
  `convert_timezone(zone, t) AS t::TIMESTAMPTZ AT TIME ZONE zone,
     (source, target, t) AS (t::TIMESTAMP AT TIME ZONE source) AT TIME ZONE target`
]

const epoch = /* of text or number */ (
  x: string
) => `CASE WHEN regexp_full_match(${x}::VARCHAR, '-?[0-9]+([.][0-9]+)?')
    THEN make_timestamp((${x}::VARCHAR::DOUBLE * 1000000)::BIGINT) ELSE ${x}::VARCHAR::TIMESTAMP END`

/** The part of `x` where the format has the element. */
const part = (element: string, otherwise: string) =>
  `CASE WHEN instr(f, '${element}') = 0 THEN ${otherwise} ELSE substr(x, instr(f, '${element}'), ${element.length})::BIGINT END`

const months = "['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']"

/**
 * @since 0.1.0
 * @category data
 */
export const conversions: ReadonlyArray<string> = [
  // Nor does strptime.
  `sg_parse_as(x, f) AS make_timestamp(${part("YYYY", "1970")},
     CASE WHEN instr(f, 'MON') > 0 THEN list_position(${months}, lower(substr(x, instr(f, 'MON'), 3))) ELSE ${part("MM", "1")} END,
     ${part("DD", "1")}, ${part("HH", "0")}, ${part("MI", "0")}, ${part("SS", "0")})`,
  "sg_parse(x, f) AS sg_parse_as(x::VARCHAR, replace(replace(upper(f), 'HH24', 'HH'), 'HH12', 'HH'))",
  // VARIANT's own text is that of a DuckDB struct.
  `sg_text(x) AS CASE WHEN system.main.typeof(x) IN ('VARIANT', 'JSON') OR system.main.typeof(x) LIKE '%]' OR system.main.typeof(x) LIKE 'STRUCT%'
     THEN CASE WHEN regexp_matches(variant_typeof(x::VARIANT), '^(OBJECT|ARRAY)') THEN x::VARIANT::JSON::VARCHAR ELSE x::VARCHAR END
     ELSE x::VARCHAR END`,
  "sg_places(f) AS CASE WHEN contains(f, '.') THEN length(system.main.regexp_replace(split_part(f, '.', 2), '[^09]', '', 'g')) ELSE 0 END",
  `sg_number(x, f) AS CASE WHEN contains(f, '$') THEN '$' ELSE '' END || CASE WHEN contains(f, ',')
     THEN format('{:,.' || sg_places(f) || 'f}', x) ELSE format('{:.' || sg_places(f) || 'f}', x) END`,
  "to_date(x) AS x::DATE, (x, f) AS sg_parse(x, f)::DATE",
  "date(x) AS x::DATE, (x, f) AS sg_parse(x, f)::DATE",
  "try_to_date(x) AS try_cast(x AS DATE), (x, f) AS try(sg_parse(x, f))::DATE",
  "to_time(x) AS x::TIME",
  "try_to_time(x) AS try_cast(x AS TIME)",
  ...["to_timestamp", "to_timestamp_ntz"].map(
    (name) => `${name}(x) AS ${epoch("x")}, (x, f) AS sg_parse(x, f)`
  ),
  ...["to_timestamp_ltz", "to_timestamp_tz"].map(
    (name) => `${name}(x) AS try_cast(x::VARCHAR AS TIMESTAMPTZ), (x, f) AS sg_parse(x, f)::TIMESTAMPTZ`
  ),
  ...["try_to_timestamp", "try_to_timestamp_ntz"].map(
    (name) => `${name}(x) AS try_cast(x AS TIMESTAMP), (x, f) AS try(sg_parse(x, f))`
  ),
  ...["to_number", "to_decimal", "to_numeric"].flatMap((name) => [
    `${name}(x) AS x::DECIMAL(38, 0), (x, p) AS x::DECIMAL(38, 0), (x, p, s) AS round(x::DECIMAL(38, 10), s)`,
    `try_${name}(x) AS try_cast(x AS DECIMAL(38, 0)), (x, p) AS try_cast(x AS DECIMAL(38, 0)), (x, p, s) AS round(try_cast(x AS DECIMAL(38, 10)), s)`
  ]),
  "to_double(x) AS x::DOUBLE",
  "try_to_double(x) AS try_cast(x AS DOUBLE)",
  "to_boolean(x) AS x::BOOLEAN",
  "try_to_boolean(x) AS try_cast(x AS BOOLEAN)",
  ...["to_char", "to_varchar"].map(
    (name) => `${name}(x) AS sg_text(x), (x, f) AS CASE
       WHEN try_cast(x::VARCHAR AS TIMESTAMP) IS NOT NULL THEN sg_show(x::VARCHAR::TIMESTAMP, f)
       ELSE sg_number(try_cast(x::VARCHAR AS DOUBLE), f) END`
  )
]
