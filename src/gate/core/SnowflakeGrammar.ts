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

/** What must follow these, else they are names: `SELECT start FROM t`. */
export const clausePairs: ReadonlyMap<string, string> = new Map([
  ["GROUP", "BY"],
  ["ORDER", "BY"],
  ["CONNECT", "BY"],
  ["START", "WITH"]
])

/**
 * Reserved words that a bracket may follow without a call: none of them can name a function, but for JOIN,
 * LATERAL and USING, which are reserved in a FROM clause alone and so are taken only there.
 *
 * @since 0.1.0
 */
export const beforeBracket = words(
  `ALL AND ANY AS BETWEEN BY DISTINCT ELSE EXCEPT EXISTS FROM GROUP HAVING ILIKE IN INTERSECT JOIN LATERAL
   LIKE MINUS NOT ON OR QUALIFY REGEXP RLIKE SELECT SOME TABLE THEN UNION USING VALUES WHEN WHERE WITH CASE`
)

/**
 * Further words after which an expression begins, so that a name and a bracket behind them are a call.
 *
 * @since 0.1.0
 */
export const introduces = words(
  "COLLATE CONNECT_BY_ROOT DEFINE ESCAPE FETCH FINAL FIRST INTERVAL IS LIMIT MEASURES NEXT OFFSET PRIOR RUNNING TOP"
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
  ["NULL", words("ON")],
  ["SYNONYMS", words("WITH")]
])

/**
 * @since 0.1.0
 * @category data
 */
export const types = words(
  `ARRAY BIGINT BINARY BOOLEAN BYTEINT CHAR CHARACTER DATE DATETIME DEC DECFLOAT DECIMAL DOUBLE FILE FLOAT
   FLOAT4 FLOAT8 GEOGRAPHY GEOMETRY INT INTEGER INTERVAL MAP NCHAR NUMBER NUMERIC NVARCHAR NVARCHAR2 OBJECT REAL
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
   QUERY_HISTORY_BY_USER QUERY_HISTORY_BY_WAREHOUSE BIND_VALUES`
)

/**
 * Words that begin statements and are no reserved words, so that columns, tables and aliases may have their
 * names. They are refused where they stand like a verb: see `verbs` in SnowflakeCalls.
 *
 * @since 0.1.0
 * @category data
 */
export const verbs = words(
  `ASYNC AWAIT BEGIN CALL COMMENT COMMIT COPY DECLARE DESCRIBE EXECUTE EXPLAIN GET LET LIST LS MERGE PUT RAISE REMOVE
   RETURN RM ROLLBACK SET SHOW START TRUNCATE UNDROP UNSET USE`
)

/** The same of other warehouses: no statements here, so a table of that name may have an alias. */
export const foreignVerbs = words(
  `ABORT ANALYZE ATTACH CANCEL DETACH EXPORT IMPORT INSTALL KILL LOAD LOCK OPTIMIZE PRAGMA PREPARE REFRESH RESUME
   SAVEPOINT SUSPEND UNLOAD UNLOCK UPSERT VACUUM`
)

/** What can follow a column, a table or its alias, so that the word before is one of these and no verb. */
export const afterName = words(
  `AND AS ASC ASOF AT BEFORE BETWEEN CHANGES COLLATE CONNECT CROSS DESC DIMENSIONS DIRECTED ELSE END ESCAPE EXCEPT
   FACTS FETCH FOLLOWING FOR FROM FULL GROUP HAVING IGNORE ILIKE IN INNER INTERSECT IS JOIN LATERAL LEFT LIKE LIMIT
   MATCH_CONDITION MATCH_RECOGNIZE MEASURES METRICS MINUS NATURAL NOT NULLS OFFSET ON ONE OR ORDER OVER PATTERN PIVOT
   PRECEDING QUALIFY RANGE REGEXP RESPECT RIGHT RLIKE ROWS SAMPLE START TABLESAMPLE THEN UNION UNPIVOT USING WHEN
   WHERE WINDOW WITHIN`
)

/** The same for a table, whose bare alias must not look like the object of a verb. */
export const afterTable = words(
  `AS ON USING JOIN INNER LEFT RIGHT FULL CROSS NATURAL ASOF LATERAL LIMIT FETCH OFFSET AT BEFORE CHANGES SAMPLE
   TABLESAMPLE PIVOT UNPIVOT MATCH_RECOGNIZE MATCH_CONDITION WHERE GROUP HAVING QUALIFY ORDER CONNECT START UNION
   EXCEPT INTERSECT MINUS`
)

/** Built in, and still not allowed unless an operator says so: files, prompts, and names that prove nothing. */
const notByDefault = words(
  `INFER_SCHEMA GET_STAGE_LOCATION GET_ABSOLUTE_PATH GET_RELATIVE_PATH GENERATE_COLUMN_DESCRIPTION TABLE_QUERY
   NETWORK EXPLODE STAR VALUE FILE_SIZE TEXT_SEARCH SIMILARITY COUNT_DISTINCT CASE VALUES VALIDATE
   VALIDATE_PIPE_LOAD CURRENT_CONNECTION CURRENT_DOMAIN DATEVALUE`
)

const inMatchRecognize = words("FIRST LAST PREV NEXT MATCH_NUMBER CLASSIFIER")

/**
 * The table functions of INFORMATION_SCHEMA. What else is called there is not known to be a read.
 *
 * @since 0.1.0
 * @category data
 */
const ofInformationSchema = words(
  `ALERT_HISTORY APPLICATION_CALLBACK_HISTORY APPLICATION_CONFIGURATION_VALUE_HISTORY
   APPLICATION_SPECIFICATION_STATUS_HISTORY AUTOMATIC_CLUSTERING_HISTORY AUTO_REFRESH_REGISTRATION_HISTORY
   AVAILABLE_LISTINGS AVAILABLE_LISTING_REFRESH_HISTORY COMPLETE_TASK_GRAPHS COPY_HISTORY CORTEX_SEARCH_REFRESH_HISTORY
   CURRENT_TASK_GRAPHS DATABASE_REFRESH_HISTORY DATABASE_REFRESH_PROGRESS DATABASE_REFRESH_PROGRESS_BY_JOB
   DATABASE_REPLICATION_USAGE_HISTORY DATABASE_STORAGE_USAGE_HISTORY DATA_METRIC_FUNCTION_EXPECTATIONS
   DATA_METRIC_FUNCTION_REFERENCES DATA_TRANSFER_HISTORY DBT_PROJECT_EXECUTION_HISTORY DYNAMIC_TABLES
   DYNAMIC_TABLE_GRAPH_HISTORY DYNAMIC_TABLE_REFRESH_HISTORY ESTIMATE_HYBRID_TABLE_STORAGE_USAGE
   EXTERNAL_FUNCTIONS_HISTORY EXTERNAL_TABLE_FILES EXTERNAL_TABLE_FILE_REGISTRATION_HISTORY ICEBERG_TABLE_FILES
   ICEBERG_TABLE_SNAPSHOT_REFRESH_HISTORY LISTING_REFRESH_HISTORY LOGIN_HISTORY LOGIN_HISTORY_BY_USER
   MATERIALIZED_VIEW_REFRESH_HISTORY NETWORK_RULE_REFERENCES NOTIFICATION_HISTORY
   ONLINE_FEATURE_TABLE_REFRESH_HISTORY PIPE_USAGE_HISTORY POLICY_REFERENCES QUERY_ACCELERATION_HISTORY
   REPLICATION_GROUP_DANGLING_REFERENCES REPLICATION_GROUP_LAG_HISTORY REPLICATION_GROUP_REFRESH_HISTORY
   REPLICATION_GROUP_REFRESH_HISTORY_ALL REPLICATION_GROUP_REFRESH_PROGRESS REPLICATION_GROUP_REFRESH_PROGRESS_ALL
   REPLICATION_GROUP_REFRESH_PROGRESS_BY_JOB REPLICATION_GROUP_USAGE_HISTORY REPLICATION_USAGE_HISTORY
   REST_EVENT_HISTORY SEARCH_OPTIMIZATION_HISTORY SERVERLESS_ALERT_HISTORY SERVERLESS_TASK_HISTORY
   STAGE_DIRECTORY_FILE_REGISTRATION_HISTORY STAGE_STORAGE_USAGE_HISTORY STORAGE_LIFECYCLE_POLICY_HISTORY
   TAG_REFERENCES TAG_REFERENCES_ALL_COLUMNS TAG_REFERENCES_WITH_LINEAGE TASK_DEPENDENTS TASK_HISTORY
   VALIDATE_PIPE_LOAD WAREHOUSE_LOAD_HISTORY WAREHOUSE_METERING_HISTORY`
)

/**
 * Functions in Snowflake's own database, which no customer can add to: lineage, contacts, measures of the
 * quality of data.
 */
const ofSnowflake = new Set(
  [
    ...words(
      `ACCEPTED_VALUES APPROX_QUANTILE_25 APPROX_QUANTILE_50 APPROX_QUANTILE_99 AVG BLANK_COUNT BLANK_PERCENT
       CASE_FORMAT_VIOLATION_COUNT CASE_FORMAT_VIOLATION_PERCENT DATA_METRIC_SCHEDULED_TIME DUPLICATE_COUNT
       EXTREME_OUTLIER_COUNT EXTREME_OUTLIER_IQR_COUNT EXTREME_OUTLIER_IQR_PERCENT EXTREME_OUTLIER_PERCENT
       EXTREME_OUTLIER_ZSCORE_COUNT EXTREME_OUTLIER_ZSCORE_PERCENT FRESHNESS FUTURE_TIMESTAMP_COUNT
       FUTURE_TIMESTAMP_PERCENT GET_CONTACTS GET_LINEAGE INVALID_JSON_COUNT INVALID_JSON_PERCENT
       INVALID_NUMERIC_TYPE_CAST_COUNT INVALID_NUMERIC_TYPE_CAST_PERCENT MAX MEDIAN MIN NEGATIVE_COUNT NEGATIVE_PERCENT
       NULL_COUNT NULL_PERCENT OUTLIER_COUNT OUTLIER_IQR_COUNT OUTLIER_IQR_PERCENT OUTLIER_PERCENT
       OUTLIER_ZSCORE_COUNT OUTLIER_ZSCORE_PERCENT REFERENTIAL_INTEGRITY_COUNT ROW_COUNT SCHEMA_CHANGE_COUNT
       SPECIAL_CHARACTER_COUNT SPECIAL_CHARACTER_PERCENT STDDEV STRING_LENGTH_AVG STRING_LENGTH_MAX STRING_LENGTH_MIN
       UNIQUE_COUNT UNTRIMMED_STRING_COUNT UNTRIMMED_STRING_PERCENT VARIANCE ZERO_COUNT ZERO_PERCENT`
    )
  ]
    .map((name) => `CORE.${name}`)
    .concat(
      "ACCOUNT_USAGE.TAG_REFERENCES_WITH_LINEAGE",
      "ALERT.LAST_SUCCESSFUL_SCHEDULED_TIME",
      "ALERT.SCHEDULED_TIME",
      "DATA_PRIVACY.CUMULATIVE_PRIVACY_LOSSES",
      "LOCAL.DATA_QUALITY_MONITORING_EXPECTATION_STATUS",
      "LOCAL.DATA_QUALITY_MONITORING_RESULTS",
      "SPCS.GET_JOB_HISTORY"
    )
)

/**
 * The functions of `SYSTEM$` that only tell something about objects. The documentation adds new ones all the
 * time, and many of them act, so everything else is refused.
 *
 * @since 0.1.0
 * @category data
 */
const systemReads = words(
  `TYPEOF CLUSTERING_DEPTH CLUSTERING_INFORMATION CLUSTERING_RATIO STREAM_GET_TABLE_TIMESTAMP
   STREAM_BACKLOG LAST_CHANGE_COMMIT_TIME PIPE_STATUS GET_TAG GET_TAG_ALLOWED_VALUES GET_TAG_ON_CURRENT_TABLE
   GET_TAG_ON_CURRENT_COLUMN TAG_VALUE_CONTAINS ESTIMATE_SEARCH_OPTIMIZATION_COSTS ESTIMATE_QUERY_ACCELERATION
   ESTIMATE_AUTOMATIC_CLUSTERING_COSTS EXPLAIN_PLAN_JSON EXPLAIN_JSON_TO_TEXT DATABASE_REFRESH_HISTORY
   DATABASE_REFRESH_PROGRESS DATABASE_REFRESH_PROGRESS_BY_JOB CURRENT_USER_TASK_NAME QUERY_REFERENCE_TYPE
   BEHAVIOR_CHANGE_BUNDLE_STATUS SHOW_ACTIVE_BEHAVIOR_CHANGE_BUNDLES SHOW_BUDGETS_IN_ACCOUNT TABLE_DDL_HISTORY`
)

/**
 * Further ones that only tell something, but of the account, its network, other catalogs and other clients,
 * or that move a time stamp (STREAM_HAS_DATA keeps an empty stream from getting stale). An operator may allow
 * them by name. Those that begin with a verb of reading are of this kind also when they are not listed here.
 */
const systemTells = words(
  `ALLOWLIST ALLOWLIST_PRIVATELINK APPLICATION_GET_LOG_LEVEL APPLICATION_GET_METRIC_LEVEL
   APPLICATION_GET_TRACE_LEVEL APP_COMPATIBILITY_CHECK AUTO_REFRESH_STATUS BOOTSTRAP_DATA_REQUEST CATALOG_LINK_STATUS
   CKE_HASH_FUNCTION CLIENT_VERSION_INFO CLIENT_VULNERABILITY_INFO DATA_METRIC_SCAN DBT_GET_LAST_FAILED_RUN_TARGET
   DBT_GET_LAST_RUN_TARGET DBT_GET_LAST_SUCCESSFUL_RUN_TARGET DECODE_PAT DESC_ICEBERG_ACCESS_IDENTITY
   ENCODE_CKE_PRIMARY_KEY EVALUATE_DATA_QUALITY_EXPECTATIONS EXPORT_TDS_FROM_SEMANTIC_VIEW EXTERNAL_TABLE_PIPE_STATUS GET_CMK_AKV_CONSENT_URL LIST_EXTERNAL_SECRETS
   VERIFY_EXTERNAL_OAUTH_TOKEN VERIFY_EXTERNAL_SECRET_INTEGRATION
   GET_SERVICE_CALLER_TOKEN_EXPIRY HOLD_PRIVILEGE_ON_ACCOUNT ICEBERG_METADATA INTERNAL_STAGES_PUBLIC_ACCESS_STATUS LOCATE_DBT_ARCHIVE
   LOCATE_DBT_ARTIFACTS REGISTRY_LIST_IMAGES RETURN_CURRENT_ORG_NAME
   SNOWFLAKE_MANAGED_STORAGE_VOLUME_PUBLIC_ACCESS_STATUS STREAM_HAS_DATA SUPPORTED_DBT_VERSIONS TASK_RUNTIME_INFO
   VALIDATE_STORAGE_INTEGRATION VERIFY_CATALOG_INTEGRATION VERIFY_CMK_INFO VERIFY_CMK_INFO_POSTGRES
   VERIFY_EXTERNAL_VOLUME WHITELIST WHITELIST_PRIVATELINK`
)
const tells = /^(?:DESCRIBE|ESTIMATE|EXPLAIN|GET|IS|LIST|READ|SHOW)_/
/** Secrets, and ways to an access. */
const secretive = /SECRET|TOKEN|PASSWORD|CREDENTIAL|PRIVATE_KEY|CONSENT_URL/

const system = (name: string): Verdict => {
  if (systemReads.has(name)) return "allowed"
  return systemTells.has(name) || (tells.test(name) && !secretive.test(name)) ? "unknown" : "never"
}

/** Run text as SQL, set what later statements see, or take a number from a sequence: refused always. */
const never = words("TO_QUERY GETNEXTVAL NEXTVAL EXECUTE_IMMEDIATE SQL_EXECUTE SET_SYS_CONTEXT")

/** Built-in functions that take the name of an object, or tell of statements and objects of the account. */
const byName = words(
  `IDENTIFIER GET_DDL GET_OBJECT_REFERENCES POLICY_CONTEXT POLICY_REFERENCES TAG_REFERENCES
   TAG_REFERENCES_ALL_COLUMNS TAG_REFERENCES_WITH_LINEAGE TASK_DEPENDENTS CURRENT_TASK_GRAPHS COMPLETE_TASK_GRAPHS
   EXTERNAL_TABLE_FILES PIPE_USAGE_HISTORY RESULT_SCAN EXPLAIN_JSON GET_QUERY_OPERATOR_STATS TABLE_QUERY VALIDATE
   VALIDATE_PIPE_LOAD INFER_SCHEMA EXTRACT_SEMANTIC_CATEGORIES GENERATE_COLUMN_DESCRIPTION
   ESTIMATE_REMAINING_DML_HISTORY DATABASE_REFRESH_PROGRESS DATABASE_REFRESH_PROGRESS_BY_JOB
   REPLICATION_GROUP_REFRESH_PROGRESS REPLICATION_GROUP_REFRESH_PROGRESS_BY_JOB CORTEX_SEARCH_DATA_SCAN
   ALL_USER_NAMES MODEL_MONITOR_DRIFT_METRIC MODEL_MONITOR_PERFORMANCE_METRIC MODEL_MONITOR_STAT_METRIC BIND_VALUES`
)

/**
 * Whether a function can read what its arguments name in strings, or tells of more than objects that may be
 * read, so that rules about objects cannot see it. Takes the name as it is called, in upper case.
 *
 * @since 0.1.0
 * @category lookups
 */
export const mayReadByName = (name: string): boolean =>
  byName.has(name) ||
  (name.startsWith("SYSTEM$") && name !== "SYSTEM$TYPEOF") ||
  name.includes("_HISTORY") ||
  name.includes(".")

/**
 * `unknown` is refused and an operator may allow it, `never` is refused whatever an operator allows.
 *
 * @since 0.1.0
 * @category models
 */
export type Verdict = "allowed" | "unknown" | "never"

/**
 * An unqualified name, as Snowflake resolves it (upper case unless quoted).
 *
 * @since 0.1.0
 * @category lookups
 */
export const builtin = (name: string, inMatch: boolean): Verdict => {
  if (name.startsWith("SYSTEM$")) return system(name.slice(7))
  if (never.has(name)) return "never"
  if (inMatch && inMatchRecognize.has(name)) return "allowed"
  if (notByDefault.has(name) || ofOthers.has(name)) return "unknown"
  return Builtins.names.has(name) || Builtins.further.has(name) ? "allowed" : "unknown"
}

/**
 * Whether a qualified name, one entry a part and as Snowflake resolves them, is a function that Snowflake
 * ships in a schema: those of INFORMATION_SCHEMA of any database, and a few in its own database.
 *
 * @since 0.1.0
 * @category lookups
 */
export const shipped = (parts: ReadonlyArray<string>): boolean => {
  const name = parts[parts.length - 1] ?? ""
  const schema = parts[parts.length - 2]
  if (schema === "INFORMATION_SCHEMA") return parts.length <= 3 && ofInformationSchema.has(name)
  return parts.length === 3 && parts[0] === "SNOWFLAKE" && ofSnowflake.has(`${schema}.${name}`)
}
