/**
 * Where names are looked up that do not say their database or schema.
 */
export interface Namespace {
  readonly database?: string | undefined
  readonly schema?: string | undefined
}

/**
 * What is asked for, completed by the standard one. A schema belongs to its database: the standard one is of no use in
 * another, of which the warehouse chooses the schema.
 */
export const placeIn = (standard: Namespace, asked: Namespace): Namespace => {
  const database = asked.database ?? standard.database
  return { database, schema: asked.schema ?? (database === standard.database ? standard.schema : undefined) }
}
