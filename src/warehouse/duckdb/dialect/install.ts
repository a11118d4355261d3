/**
 * Puts the functions of the dialect that are written in JavaScript into a database.
 *
 * @since 0.1.0
 */
import type * as DuckDb from "@duckdb/node-api"
import { keepsDoubles } from "./library.js"
import { scalars } from "./scalars.js"
import type { Scalar } from "./scalars.js"
import { decode, isFields, isList, memberOf, members, numberOf, Refusal, textOf } from "./values.js"
import type { Value } from "./values.js"

type Api = typeof DuckDb

/** The union that stands for VARIANT, as the driver's type. */
const unionOf = (api: Api): DuckDb.DuckDBUnionType =>
  api.UNION({
    [members.boolean]: api.BOOLEAN,
    [members.number]: api.DOUBLE,
    [members.text]: api.VARCHAR,
    [members.other]: api.STRUCT({ k: api.VARCHAR, v: api.VARCHAR }),
    [members.json]: api.STRUCT({ a: api.VARCHAR }),
    [members.none]: api.UTINYINT
  })

const make = (api: Api) => {
  const union = unionOf(api)
  const row = api.STRUCT({
    KEY: api.VARCHAR,
    PATH: api.VARCHAR,
    INDEX: api.BIGINT,
    VALUE: api.LIST(union),
    THIS: api.LIST(union)
  })

  const variant = (value: Exclude<Value, undefined>, keepsDoubles = false): DuckDb.DuckDBValue => {
    const [tag, inner] = memberOf(value, keepsDoubles)
    return new api.DuckDBUnionValue(tag, typeof inner === "object" ? api.structValue(inner) : inner)
  }

  /** The driver cannot write a union that is NULL: there is one element, or none. */
  const optional = (value: Value, keepsDoubles = false): DuckDb.DuckDBValue =>
    api.listValue(value === undefined ? [] : [variant(value, keepsDoubles)])

  const text = (value: Value): string | null => textOf(value) ?? null

  const returned: Readonly<
    Record<
      Scalar["returns"],
      {
        readonly type: DuckDb.DuckDBType
        readonly write: (value: Value, keepsDoubles?: boolean) => DuckDb.DuckDBValue
      }
    >
  > = {
    text: { type: api.VARCHAR, write: text },
    integer: {
      type: api.BIGINT,
      write: (value) => {
        const number = numberOf(value)
        return number === undefined ? null : BigInt(number)
      }
    },
    number: { type: api.DOUBLE, write: (value) => numberOf(value) ?? null },
    boolean: { type: api.BOOLEAN, write: (value) => (typeof value === "boolean" ? value : null) },
    variant: { type: api.LIST(union), write: optional },
    rows: {
      type: api.LIST(row),
      write: (value, keepsDoubles) =>
        api.listValue(
          (isList(value) ? value : []).map((each) => {
            const fields = isFields(each) ? each : new Map<string, Value>()
            const index = fields.get("INDEX")
            return api.structValue({
              KEY: text(fields.get("KEY")),
              PATH: text(fields.get("PATH")),
              INDEX: typeof index === "number" ? BigInt(index) : null,
              VALUE: optional(fields.get("VALUE"), keepsDoubles),
              THIS: optional(fields.get("THIS"), keepsDoubles)
            })
          })
        )
    }
  }

  const message = (cause: unknown): string =>
    cause instanceof Refusal ? cause.message : "a function of the embedded warehouse failed"

  interface Declared {
    readonly name: string
    readonly returns: DuckDb.DuckDBType
    readonly takes: ReadonlyArray<DuckDb.DuckDBType>
    readonly repeats?: DuckDb.DuckDBType | undefined
    readonly row: (args: ReadonlyArray<DuckDb.DuckDBValue>) => DuckDb.DuckDBValue
  }

  const declare = ({ name, repeats, returns, row, takes }: Declared) =>
    api.DuckDBScalarFunction.create({
      name,
      returnType: returns,
      parameterTypes: takes,
      ...(repeats === undefined ? {} : { varArgsType: repeats }),
      specialHandling: true,
      mainFunction: (info, input, output) => {
        try {
          const columns = Array.from({ length: input.columnCount }, (_, index) =>
            input.getColumnVector(index)
          )
          for (let at = 0; at < input.rowCount; at++) {
            output.setItem(at, row(columns.map((column) => column.getItem(at))))
          }
          output.flush()
        } catch (cause) {
          info.setError(message(cause))
        }
      }
    })

  const functions: Array<DuckDb.DuckDBScalarFunction> = []

  for (const [name, known] of Object.entries(scalars)) {
    const takes = known.takes.replace("*", "")
    const { type, write } = returned[known.returns]
    for (const prefix of keepsDoubles.has(name) ? ["sgj", "sgk"] : ["sgj"]) {
      const keeps = prefix === "sgk"
      functions.push(
        declare({
          name: `${prefix}_${name}`,
          returns: type,
          takes: [],
          repeats: api.VARCHAR,
          row: (args) => {
            const values = args.map((arg, index): Value => {
              if (typeof arg !== "string") return undefined
              return takes[Math.min(index, takes.length - 1)] === "v" ? decode(arg) : arg
            })
            if (known.strict && values.some((value) => value === undefined)) return write(undefined)
            return write(known.run(values), keeps)
          }
        })
      )
    }
  }

  // Named where a type is asked for; they are never run.
  const typed: ReadonlyArray<readonly [string, DuckDb.DuckDBType, DuckDb.DuckDBType]> = [
    ["sgj_moment_type", api.VARCHAR, api.TIMESTAMP],
    ["sgj_moment_type", api.DATE, api.DATE],
    ["sgj_moment_type", api.TIMESTAMP, api.TIMESTAMP],
    ["sgj_moment_type", api.TIMESTAMPTZ, api.TIMESTAMPTZ],
    ["sgj_moment_type", api.TIME, api.TIME]
  ]
  for (const [name, takes, returns] of typed)
    functions.push(declare({ name, takes: [takes], returns, row: ([value = null]) => value }))

  functions.push(
    declare({
      name: "sgj_divided_by_zero",
      takes: [],
      returns: api.INTEGER,
      row: () => {
        throw new Refusal("Division by zero")
      }
    }),
    declare({
      name: "sgj_items",
      takes: [api.VARCHAR],
      returns: api.LIST(union),
      row: ([value = null]) => {
        const items = typeof value === "string" ? decode(value) : undefined
        return api.listValue(isList(items) ? items.map((item) => variant(item ?? null)) : [])
      }
    }),
    declare({
      name: "sgj_complete",
      takes: [api.VARCHAR],
      returns: api.BOOLEAN,
      row: ([value = null]) => {
        const fields = typeof value === "string" ? decode(value) : undefined
        return isFields(fields) && [...fields.values()].every((each) => each !== null && each !== undefined)
      }
    })
  )
  return functions
}

/**
 * Registers the functions in JavaScript: once for each database, before it is locked.
 *
 * @since 0.1.0
 * @category constructors
 */
export const register = (api: Api, connection: DuckDb.DuckDBConnection): void => {
  for (const each of make(api)) {
    connection.registerScalarFunction(each)
    each.destroySync()
  }
}
