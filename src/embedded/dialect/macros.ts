/**
 * Snowflake's functions as DuckDB macros, in `memory.main`: every statement looks there after its own
 * schema and before DuckDB's functions, so a macro of the same name wins. `system.main.x` is DuckDB's own.
 *
 * A macro is pasted into the statement: every name it binds itself (the parameters of lambdas, aliases)
 * begins with `sg_`, or a table of the caller's with that alias would be read in its place.
 *
 * Functions that begin with `sg_` are what `translate.ts` writes for syntax that no macro can stand for.
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

const dates = [
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

const conversions = [
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

const conditions = [
  "iff(c, a, b) AS CASE WHEN c THEN a ELSE b END",
  "nvl(a, b) AS coalesce(a, b)",
  "nvl2(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END",
  "zeroifnull(x) AS coalesce(x, 0)",
  "nullifzero(x) AS nullif(x, 0)",
  "equal_null(a, b) AS a IS NOT DISTINCT FROM b",
  "decode(x) AS system.main.decode(x)," +
    [1, 2, 3, 4, 5, 6]
      .flatMap((pairs) => {
        const names = Array.from({ length: pairs }, (_, index) => index)
        const parameters = names.map((index) => `a${index}, b${index}`).join(", ")
        const whens = names.map((index) => `WHEN x IS NOT DISTINCT FROM a${index} THEN b${index}`).join(" ")
        return [
          `(x, ${parameters}) AS CASE ${whens} END`,
          `(x, ${parameters}, z) AS CASE ${whens} ELSE z END`
        ]
      })
      .join(", "),
  "booland(a, b) AS (a AND b)",
  "boolor(a, b) AS (a OR b)",
  "boolxor(a, b) AS (a <> b)",
  "boolnot(a) AS (NOT a)",
  "sg_like_any(x, l) AS list_bool_or(list_transform(l, lambda sg_p: x LIKE sg_p))",
  "sg_like_all(x, l) AS list_bool_and(list_transform(l, lambda sg_p: x LIKE sg_p))",
  "sg_ilike_any(x, l) AS list_bool_or(list_transform(l, lambda sg_p: x ILIKE sg_p))",
  "sg_ilike_all(x, l) AS list_bool_and(list_transform(l, lambda sg_p: x ILIKE sg_p))"
]

const numbers = [
  "square(x) AS x * x",
  "div0(a, b) AS CASE WHEN b = 0 THEN 0 ELSE a / b END",
  "div0null(a, b) AS CASE WHEN b = 0 OR b IS NULL THEN 0 ELSE a / b END",
  "truncate(x) AS system.main.trunc(x), (x, n) AS system.main.trunc(x, n)",
  "bitand(a, b) AS a & b",
  "bitor(a, b) AS a | b",
  "bitxor(a, b) AS xor(a, b)",
  "bitnot(a) AS ~a",
  "bitshiftleft(a, b) AS a << b",
  "bitshiftright(a, b) AS a >> b",
  "width_bucket(x, a, b, n) AS CASE WHEN x < a THEN 0 WHEN x >= b THEN n + 1 ELSE 1 + floor((x - a) * n / (b - a))::BIGINT END",
  `haversine(a, b, c, d) AS 2 * 6371 * asin(sqrt(pow(sin(radians(c - a) / 2), 2)
     + cos(radians(a)) * cos(radians(c)) * pow(sin(radians(d - b) / 2), 2)))`,
  "uuid_string() AS uuid()::VARCHAR"
]

const texts = [
  "startswith(s, t) AS starts_with(s, t)",
  "endswith(s, t) AS ends_with(s, t)",
  "charindex(t, s) AS instr(s, t), (t, s, n) AS CASE WHEN instr(substr(s, n), t) = 0 THEN 0 ELSE instr(substr(s, n), t) + n - 1 END",
  "split(s, d) AS string_split(s, d)",
  "strtok(s) AS nullif(string_split(s, ' ')[1], ''), (s, d) AS nullif(string_split(s, d)[1], ''), (s, d, n) AS nullif(string_split(s, d)[n], '')",
  "initcap(s) AS list_aggregate(list_transform(string_split(lower(s), ' '), lambda sg_w: upper(sg_w[1]) || sg_w[2:]), 'string_agg', ' ')",
  "space(n) AS repeat(' ', n)",
  "lpad(s, n) AS system.main.lpad(s, n, ' '), (s, n, p) AS system.main.lpad(s, n::INTEGER, p)",
  "rpad(s, n) AS system.main.rpad(s, n, ' '), (s, n, p) AS system.main.rpad(s, n::INTEGER, p)",
  ...["regexp_like", "rlike"].map(
    (name) =>
      `${name}(s, p) AS regexp_full_match(s, p), (s, p, o) AS regexp_full_match(s, '(?' || o || ')' || p)`
  ),
  "regexp_substr(s, p) AS nullif(regexp_extract(s, p), '')",
  "regexp_count(s, p) AS len(regexp_extract_all(s, p))",
  "regexp_replace(s, p) AS system.main.regexp_replace(s, p, '', 'g'), (s, p, r) AS system.main.regexp_replace(s, p, r, 'g')",
  "sha2(s) AS sha256(s), (s, n) AS sha256(s)",
  "sha2_hex(s) AS sha256(s)",
  "sha1_hex(s) AS sha1(s)",
  "md5_hex(s) AS md5(s)",
  "base64_encode(s) AS to_base64(encode(s))",
  "base64_decode_string(s) AS system.main.decode(from_base64(s))",
  "hex_encode(s) AS hex(s)",
  "insert(s, n, l, t) AS left(s, n - 1) || t || substr(s, n + l)",
  "octet_length(s) AS strlen(s)",
  "editdistance(a, b) AS levenshtein(a, b)",
  "jarowinkler_similarity(a, b) AS round(100 * jaro_winkler_similarity(a, b))::BIGINT"
]

/** `x` as JSON, whatever it is. */
const json = "x::VARIANT::JSON"
const kind = (name: string) => `starts_with(variant_typeof(x::VARIANT), '${name}')`

const semiStructured = [
  "parse_json(s) AS s::VARCHAR::JSON::VARIANT",
  "try_parse_json(s) AS try_cast(s::VARCHAR AS JSON)::VARIANT",
  "check_json(s) AS CASE WHEN s IS NULL OR json_valid(s) THEN NULL ELSE 'invalid JSON' END",
  "to_variant(x) AS x::VARIANT",
  `to_json(x) AS ${json}::VARCHAR`,
  "to_object(x) AS x::VARIANT",
  `to_array(x) AS CASE WHEN ${kind("ARRAY")} THEN x::VARIANT ELSE [x]::VARIANT END`,
  `typeof(x) AS CASE WHEN system.main.typeof(x) <> 'VARIANT' THEN system.main.typeof(x)
     WHEN ${kind("OBJECT")} THEN 'OBJECT' WHEN ${kind("ARRAY")} THEN 'ARRAY'
     WHEN regexp_matches(variant_typeof(x::VARIANT), '^U?INT') THEN 'INTEGER'
     WHEN ${kind("BOOL")} THEN 'BOOLEAN' WHEN ${kind("VARIANT_NULL")} THEN 'NULL_VALUE' ELSE variant_typeof(x::VARIANT) END`,
  `array_size(x) AS CASE WHEN ${kind("ARRAY")} THEN json_array_length(${json})::BIGINT END`,
  `object_keys(x) AS CASE WHEN ${kind("OBJECT")} THEN json_keys(${json}) END`,
  `get(x, k) AS json_extract(${json}, k)::VARIANT`,
  `get_path(x, p) AS json_extract(${json}, '$.' || p)::VARIANT`,
  `json_extract_path_text(x, p) AS json_extract_string(x::VARCHAR::JSON, '$.' || p)`,
  "object_agg(k, v) AS json_group_object(k, v)::VARIANT",
  "sg_object(x) AS json_merge_patch('{}', x::VARIANT::JSON)::VARIANT",
  "array_contains(v, x) AS json_contains(x::VARIANT::JSON, v::VARIANT::JSON)",
  `array_to_string(x, s) AS CASE WHEN ${kind("ARRAY")} THEN
     list_aggregate(list_transform(from_json(${json}, '["JSON"]'), lambda sg_e: json_extract_string(sg_e, '$')), 'string_agg', s) END`,
  "array_cat(a, b) AS list_concat(a, b)",
  "array_append(a, b) AS list_append(a, b)",
  "array_compact(a) AS list_filter(a, lambda sg_e: sg_e IS NOT NULL)",
  "sg_array_slice(a, b, c) AS system.main.array_slice(a, b + 1, c)",
  "is_object(x) AS " + kind("OBJECT"),
  "is_array(x) AS " + kind("ARRAY"),
  "as_varchar(x) AS x::VARCHAR",
  "as_integer(x) AS try_cast(x AS BIGINT)",
  "strip_null_value(x) AS x",
  `sg_flatten(x, keep) AS CASE
     WHEN ${kind("ARRAY")} AND json_array_length(${json}) > 0 THEN list_transform(from_json(${json}, '["JSON"]'), lambda sg_e, sg_i:
       {'KEY': NULL::VARCHAR, 'INDEX': sg_i - 1, 'VALUE': sg_e})
     WHEN ${kind("OBJECT")} AND len(json_keys(${json})) > 0 THEN list_transform(map_entries(${json}::MAP(VARCHAR, JSON)), lambda sg_e:
       {'KEY': sg_e.key, 'INDEX': NULL::BIGINT, 'VALUE': sg_e.value})
     WHEN keep THEN [{'KEY': NULL::VARCHAR, 'INDEX': NULL::BIGINT, 'VALUE': NULL::JSON}]
     ELSE [] END`
]

const tables = [
  // Snowflake counts the input rows in SEQ and repeats the input in THIS; the first is 1 here, the second left out.
  `flatten(input, path := '', keep := false, recursive := false, mode := 'BOTH') AS TABLE
     SELECT 1::BIGINT AS SEQ, sg_e.KEY AS KEY, coalesce(sg_e.KEY, '[' || sg_e.INDEX || ']') AS PATH, sg_e.INDEX AS INDEX, sg_e.VALUE::JSON::VARIANT AS VALUE
     FROM (SELECT unnest(sg_flatten(CASE WHEN path = '' THEN input::VARIANT
       ELSE json_extract(input::VARIANT::JSON, '$' || CASE WHEN path = '' THEN '' ELSE '.' || path END)::VARIANT END, keep)) AS sg_e)`
]

const aggregates = [
  "booland_agg(x) AS bool_and(x)",
  "boolor_agg(x) AS bool_or(x)",
  "bitand_agg(x) AS bit_and(x)",
  "bitor_agg(x) AS bit_or(x)",
  "bitxor_agg(x) AS bit_xor(x)",
  "hll(x) AS approx_count_distinct(x)",
  "approx_percentile(x, p) AS approx_quantile(x, p)",
  "array_unique_agg(x) AS list(DISTINCT x)",
  "skew(x) AS skewness(x)"
]

const session = [
  "current_role() AS 'SYSADMIN'",
  "current_warehouse() AS 'EMBEDDED'",
  "current_account() AS 'SNOWGUARD'",
  "current_account_name() AS 'SNOWGUARD'",
  "current_organization_name() AS 'SNOWGUARD'",
  "current_region() AS 'EMBEDDED'",
  "current_user() AS 'SNOWGUARD'",
  "current_session() AS '1'",
  "current_version() AS '9.0.0'",
  "current_client() AS 'SNOWGUARD'"
]

/**
 * The statements that create them all.
 *
 * @since 0.1.0
 * @category data
 */
export const macros: string = [
  ...[
    ...dates,
    ...conversions,
    ...conditions,
    ...numbers,
    ...texts,
    ...semiStructured,
    ...aggregates,
    ...session
  ],
  ...tables
]
  .map((macro) => `CREATE MACRO memory.main.${macro}`)
  .join(";\n")
