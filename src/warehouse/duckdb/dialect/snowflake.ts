/** What the gate of the embedded warehouse has to know of Snowflake's dialect on DuckDB. */
export { names as functions } from "./library.js"
export { translate } from "./translate.js"
