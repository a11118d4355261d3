/**
 * Snowflake's words as the gate sees them: what begins a statement that is not a read, what may stand
 * before a bracket without being a call, and which functions are refused although they are built in.
 *
 * @since 0.1.0
 */
import * as Builtins from "./SnowflakeBuiltins.js"

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/**
 * Reserved words of writes and of scripts: none of them stands in a read but as a part of a name
 * (`t.delete`, `v:update`) or, for INSERT, as a function.
 *
 * @since 0.1.0
 * @category data
 */
export const writes = words("ALTER CREATE DELETE DROP GRANT INSERT INTO REVOKE UPDATE TRIGGER WHENEVER")

/**
 * Words that begin a statement and are names elsewhere, so they are refused only where a query is due.
 *
 * @since 0.1.0
 * @category data
 */
export const queryStarts = words("SELECT WITH VALUES")

/**
 * @since 0.1.0
 * @category data
 */
export const setOperators = words("UNION EXCEPT INTERSECT MINUS")

/** Where the list of tables ends. Reserved, so that no alias can pretend to be one of them. */
export const endsFrom = words("WHERE GROUP HAVING QUALIFY ORDER CONNECT START UNION EXCEPT INTERSECT MINUS")

/**
 * Reserved words that a bracket may follow without a call: none of them can name a function.
 *
 * @since 0.1.0
 * @category data
 */
export const beforeBracket = words(
  `ALL AND ANY AS BETWEEN BY DISTINCT ELSE EXCEPT EXISTS FROM GROUP HAVING ILIKE IN INTERSECT IS JOIN LATERAL
   LIKE MINUS NOT ON OR QUALIFY REGEXP RLIKE SELECT SOME TABLE THEN UNION USING VALUES WHEN WHERE WITH CASE`
)

/** Clauses after a table; brackets follow these words. Names elsewhere. */
export const tableClauses = words(
  "PIVOT UNPIVOT SAMPLE TABLESAMPLE AT BEFORE END CHANGES MATCH_RECOGNIZE MATCH_CONDITION RESAMPLE"
)

/** What a word may follow so that the bracket after both belongs to a clause. */
export const pairedWords: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["GROUP", words("WITHIN")],
  ["SETS", words("GROUPING")],
  ["BERNOULLI", words("SAMPLE TABLESAMPLE")],
  ["SYSTEM", words("SAMPLE TABLESAMPLE")],
  ["BLOCK", words("SAMPLE TABLESAMPLE")],
  ["ROW", words("SAMPLE TABLESAMPLE")],
  ["NULLS", words("INCLUDE EXCLUDE")],
  ["NULL", words("ON")]
])

/**
 * @since 0.1.0
 * @category data
 */
export const types = words(
  `ARRAY BIGINT BINARY BOOLEAN BYTEINT CHAR CHARACTER DATE DATETIME DEC DECFLOAT DECIMAL DOUBLE FILE FLOAT
   FLOAT4 FLOAT8 GEOGRAPHY GEOMETRY INT INTEGER MAP NCHAR NUMBER NUMERIC NVARCHAR NVARCHAR2 OBJECT REAL
   SMALLINT STRING TEXT TIME TIMESTAMP TIMESTAMP_LTZ TIMESTAMP_NTZ TIMESTAMP_TZ TIMESTAMPLTZ TIMESTAMPNTZ
   TIMESTAMPTZ TINYINT UUID VARBINARY VARCHAR VARIANT VARYING VECTOR`
)

/** Functions whose arguments are divided by FROM or FOR. */
export const fromInside = words("EXTRACT TRIM LTRIM RTRIM SUBSTRING SUBSTR POSITION OVERLAY")
export const forInside = words("PIVOT UNPIVOT SUBSTRING SUBSTR OVERLAY")

/**
 * What clients that share a user or a session have asked and been told: results by id, ids, texts. Each
 * client reads on in its own results through a tool.
 *
 * @since 0.1.0
 * @category data
 */
export const ofOthers = words(
  `RESULT_SCAN LAST_QUERY_ID GET_QUERY_OPERATOR_STATS QUERY_HISTORY QUERY_HISTORY_BY_SESSION
   QUERY_HISTORY_BY_USER QUERY_HISTORY_BY_WAREHOUSE`
)

/** Words that begin statements; followed by another name they are not the name of a table. */
const verbs = words(
  `ALTER BEGIN CALL COMMENT COMMIT COPY DELETE DESC DESCRIBE EXECUTE EXPLAIN GET LIST LS MERGE PUT REMOVE RM
   ROLLBACK SET SHOW TRUNCATE UNDROP UNSET USE`
)
const afterTable = words(
  "AS ON USING JOIN INNER LEFT RIGHT FULL CROSS NATURAL ASOF LIMIT FETCH OFFSET AT BEFORE CHANGES SAMPLE TABLESAMPLE"
)

/**
 * Whether two words where a table is due are the beginning of another statement: `FROM (CALL p(a))`.
 *
 * @since 0.1.0
 * @category lookups
 */
export const beginsStatement = (word: string, next: string): boolean =>
  verbs.has(word) && !afterTable.has(next) && !endsFrom.has(next)

/** Built in, and still not allowed unless an operator says so: files, prompts, and names that prove nothing. */
const notByDefault = words(
  `INFER_SCHEMA GET_STAGE_LOCATION GET_ABSOLUTE_PATH GET_RELATIVE_PATH GENERATE_COLUMN_DESCRIPTION TABLE_QUERY
   NETWORK EXPLODE STAR VALUE FILE_SIZE TEXT_SEARCH SIMILARITY COUNT_DISTINCT CASE VALUES VALIDATE
   VALIDATE_PIPE_LOAD CURRENT_CONNECTION CURRENT_DOMAIN DATEVALUE`
)

/** Also built in. */
const more = words(
  `BITANDAGG BITORAGG BITXORAGG BIT_AND BIT_ANDAGG BIT_AND_AGG BIT_OR BIT_ORAGG BIT_OR_AGG BIT_XOR
   BIT_XORAGG BIT_XOR_AGG ST_ISVALID ST_MAKEPOLYGONORIENTED ST_BUFFER ST_TRANSFORM ST_INTERPOLATE ST_UNION_AGG`
)
const inMatchRecognize = words("FIRST LAST PREV NEXT MATCH_NUMBER CLASSIFIER")

/**
 * The functions of `SYSTEM$` that only tell something. The documentation adds new ones all the time, and
 * many of them act, so everything else is refused.
 *
 * @since 0.1.0
 * @category data
 */
const systemReads = words(
  `TYPEOF CLUSTERING_DEPTH CLUSTERING_INFORMATION CLUSTERING_RATIO STREAM_HAS_DATA STREAM_GET_TABLE_TIMESTAMP
   STREAM_BACKLOG LAST_CHANGE_COMMIT_TIME PIPE_STATUS GET_TAG GET_TAG_ALLOWED_VALUES GET_TAG_ON_CURRENT_TABLE
   GET_TAG_ON_CURRENT_COLUMN ESTIMATE_SEARCH_OPTIMIZATION_COSTS ESTIMATE_QUERY_ACCELERATION
   EXPLAIN_PLAN_JSON EXPLAIN_JSON_TO_TEXT DATABASE_REFRESH_HISTORY DATABASE_REFRESH_PROGRESS
   DATABASE_REFRESH_PROGRESS_BY_JOB CURRENT_USER_TASK_NAME QUERY_REFERENCE_TYPE BEHAVIOR_CHANGE_BUNDLE_STATUS
   SHOW_ACTIVE_BEHAVIOR_CHANGE_BUNDLES SHOW_BUDGETS_IN_ACCOUNT TABLE_DDL_HISTORY`
)

/** Run text as SQL, or take a number from a sequence: refused whatever an operator allows. */
const never = words("TO_QUERY GETNEXTVAL NEXTVAL EXECUTE_IMMEDIATE SQL_EXECUTE")

/** Built-in functions that take the name of an object, or tell of statements and objects of the account. */
const byName = words(
  `IDENTIFIER GET_DDL GET_OBJECT_REFERENCES POLICY_CONTEXT POLICY_REFERENCES TAG_REFERENCES
   TAG_REFERENCES_ALL_COLUMNS TAG_REFERENCES_WITH_LINEAGE TASK_DEPENDENTS CURRENT_TASK_GRAPHS COMPLETE_TASK_GRAPHS
   EXTERNAL_TABLE_FILES PIPE_USAGE_HISTORY RESULT_SCAN EXPLAIN_JSON GET_QUERY_OPERATOR_STATS TABLE_QUERY VALIDATE
   VALIDATE_PIPE_LOAD INFER_SCHEMA EXTRACT_SEMANTIC_CATEGORIES GENERATE_COLUMN_DESCRIPTION
   ESTIMATE_REMAINING_DML_HISTORY DATABASE_REFRESH_PROGRESS DATABASE_REFRESH_PROGRESS_BY_JOB
   REPLICATION_GROUP_REFRESH_PROGRESS REPLICATION_GROUP_REFRESH_PROGRESS_BY_JOB`
)

/**
 * Whether a function can read what its arguments name in strings, so that rules about objects cannot see
 * it. Takes the name as it is called, in upper case.
 *
 * @since 0.1.0
 * @category lookups
 */
export const mayReadByName = (name: string): boolean =>
  byName.has(name) ||
  (name.startsWith("SYSTEM$") && name !== "SYSTEM$TYPEOF") ||
  name.includes("_HISTORY") ||
  name.includes(".")

export type Verdict = "allowed" | "unknown" | "never"

/**
 * An unqualified name, as Snowflake resolves it (upper case unless quoted).
 *
 * @since 0.1.0
 * @category lookups
 */
export const builtin = (name: string, inMatch: boolean): Verdict => {
  if (name.startsWith("SYSTEM$")) return systemReads.has(name.slice(7)) ? "allowed" : "never"
  if (never.has(name)) return "never"
  if (inMatch && inMatchRecognize.has(name)) return "allowed"
  if (notByDefault.has(name) || ofOthers.has(name)) return "unknown"
  return Builtins.names.has(name) || more.has(name) ? "allowed" : "unknown"
}
