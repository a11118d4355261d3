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

import { conversions, dates } from "./dateMacros.js"
import { semiStructured, tables } from "./variantMacros.js"

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
  "repeat(s, n) AS system.main.repeat((s)::VARCHAR, (n)::BIGINT)",
  "space(n) AS system.main.repeat(' ', (n)::BIGINT)",
  ...["lpad", "rpad"].map(
    (name) =>
      `${name}(s, n) AS system.main.${name}(s, (n)::INTEGER, ' '), (s, n, p) AS system.main.${name}(s, (n)::INTEGER, p)`
  ),
  "replace(s, a) AS system.main.replace(s, a, ''), (s, a, b) AS system.main.replace(s, a, b)",
  "regexp_replace(s, p) AS system.main.regexp_replace(s, p, '', 'g'), (s, p, r) AS system.main.regexp_replace(s, p, r, 'g')",
  ...["regexp_like", "rlike"].map(
    (name) =>
      `${name}(s, p) AS regexp_full_match(s, p), (s, p, o) AS regexp_full_match(s, '(?' || o || ')' || p)`
  ),
  "regexp_substr(s, p) AS nullif(regexp_extract(s, p), '')",
  "regexp_count(s, p) AS len(regexp_extract_all(s, p))",
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

const scalars = [
  ...[
    ...dates,
    ...conversions,
    ...conditions,
    ...numbers,
    ...texts,
    ...semiStructured,
    ...aggregates,
    ...session
  ]
]

const nameOf = (macro: string): string => macro.slice(0, macro.indexOf("(")).toUpperCase()

/**
 * The functions, upper case: a guard that lists what may be called has to know them.
 *
 * @since 0.1.0
 * @category data
 */
export const names: ReadonlyArray<string> = [...scalars, ...tables].map(nameOf)

/**
 * The statements that create them all.
 *
 * @since 0.1.0
 * @category data
 */
export const macros: string = [...scalars, ...tables]
  .map((macro) => `CREATE MACRO memory.main.${macro}`)
  .join(";\n")
