/**
 * Semi-structured values: the macros of `macros.ts` for VARIANT, OBJECT and ARRAY.
 *
 * @since 0.1.0
 */

/** `x` as JSON, whatever it is. */
const json = "x::VARIANT::JSON"
const kind = (name: string) => `starts_with(variant_typeof(x::VARIANT), '${name}')`

/**
 * @since 0.1.0
 * @category data
 */
export const semiStructured: ReadonlyArray<string> = [
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

/**
 * @since 0.1.0
 * @category data
 */
export const tables: ReadonlyArray<string> = [
  // Snowflake counts the input rows in SEQ and repeats the input in THIS; the first is 1 here, the second left out.
  `flatten(input, path := '', keep := false, recursive := false, mode := 'BOTH') AS TABLE
     SELECT 1::BIGINT AS SEQ, sg_e.KEY AS KEY, coalesce(sg_e.KEY, '[' || sg_e.INDEX || ']') AS PATH, sg_e.INDEX AS INDEX, sg_e.VALUE::JSON::VARIANT AS VALUE
     FROM (SELECT unnest(sg_flatten(CASE WHEN path = '' THEN input::VARIANT
       ELSE json_extract(input::VARIANT::JSON, '$' || CASE WHEN path = '' THEN '' ELSE '.' || path END)::VARIANT END, keep)) AS sg_e)`
]
