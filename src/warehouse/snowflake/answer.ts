/**
 * What Snowflake's answer to a statement holds and declares: columns, the first rows, and where the parts with
 * the other rows are. Pure.
 *
 * The answer is read here and not by the driver, which keeps columns in plain objects by their names and fails
 * on a column that is named `constructor`.
 */
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

const absent = { exact: true } as const
const nullable = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(Schema.NullishOr(schema), absent)

/**
 * The type of a column, or of what is inside a structured one.
 */
export interface WireType {
  /** As on the wire: `fixed`, `text`, `timestamp_ntz`, ... */
  readonly type: string
  readonly scale?: number | null | undefined
  readonly precision?: number | null | undefined
  /** The name of a type that travels as another one: `GEOGRAPHY` as an object, for example. */
  readonly extTypeName?: string | null | undefined
  readonly vectorDimension?: number | null | undefined
  readonly nullable?: boolean | null | undefined
  /** Of a structured type: its elements, its key and value, or its named fields. */
  readonly fields?: ReadonlyArray<WireType & { readonly name?: string | null | undefined }> | null | undefined
}

interface WireColumn extends WireType {
  readonly name: string
}

const typeFields = {
  type: Schema.String,
  scale: nullable(Schema.Number),
  precision: nullable(Schema.Number),
  extTypeName: nullable(Schema.String),
  vectorDimension: nullable(Schema.Number),
  nullable: nullable(Schema.Boolean),
  fields: nullable(
    Schema.Array(Schema.suspend((): Schema.Schema<NonNullable<WireType["fields"]>[number]> => FieldType))
  )
}

const FieldType: Schema.Schema<NonNullable<WireType["fields"]>[number]> = Schema.Struct({
  ...typeFields,
  name: nullable(Schema.String)
})

const Column = Schema.Struct({ ...typeFields, name: Schema.String })

const Part = Schema.Struct({ url: Schema.String, rowCount: Schema.NonNegativeInt })

const Data = Schema.Struct({
  rowtype: Schema.Array(Column),
  // Absent where all rows are in parts. Not looked into: it may be large.
  rowset: nullable(Schema.declare((value): value is ReadonlyArray<unknown> => Array.isArray(value))),
  chunks: nullable(Schema.Array(Part)),
  chunkHeaders: nullable(Schema.Record({ key: Schema.String, value: Schema.String })),
  qrmk: nullable(Schema.String),
  returned: nullable(Schema.Number)
})

export interface Answer {
  readonly columns: ReadonlyArray<WireColumn>
  readonly rowset: ReadonlyArray<unknown>
  readonly parts: ReadonlyArray<typeof Part.Type>
  /** Sent with a request for a part. */
  readonly headers: { readonly [name: string]: string }
  /** Rows that the answer says it has, if it says so. */
  readonly returned: number | undefined
}

const customerKey = (key: string) => ({
  "x-amz-server-side-encryption-customer-algorithm": "AES256",
  "x-amz-server-side-encryption-customer-key": key
})

const decodeData = Schema.decodeUnknownEither(Data)

const answerOf = (data: typeof Data.Type): Answer => ({
  columns: data.rowtype,
  rowset: data.rowset ?? [],
  parts: data.chunks ?? [],
  headers: data.chunkHeaders ?? (typeof data.qrmk === "string" ? customerKey(data.qrmk) : {}),
  returned: data.returned ?? undefined
})

/** The statement has not ended yet. */
const inProgress = new Set<unknown>(["333333", "333334"])

/**
 * The result in the body of an answer; `none` where it holds none (a refusal, a statement that goes on, the
 * ids of several statements), `malformed` where it should hold one and does not.
 */
export const read = (body: unknown): Either.Either<Answer, "none" | "malformed"> => {
  if (!Predicate.isRecord(body)) return Either.left("malformed")
  if (body["success"] !== true || inProgress.has(body["code"])) return Either.left("none")
  const data = body["data"]
  if (Predicate.isRecord(data) && typeof data["resultIds"] === "string" && data["resultIds"] !== "") {
    return Either.left("none")
  }
  return Either.mapBoth(decodeData(data), { onLeft: () => "malformed" as const, onRight: answerOf })
}

/**
 * The body without its result, for the driver: nothing is left that it could fail on.
 */
export const withoutResult = (body: unknown): unknown =>
  Predicate.isRecord(body) && Predicate.isRecord(body["data"])
    ? { ...body, data: { ...body["data"], rowtype: [], rowset: [], chunks: [], returned: 0, total: 0 } }
    : body
