/**
 * The prompts that clients offer to people: texts of their own, which cost no call.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"

interface Prompt {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly arguments: ReadonlyArray<{
    readonly name: string
    readonly description: string
    readonly required: boolean
  }>
  readonly text: (given: { readonly [name: string]: string }) => string
}

const MAX_ARGUMENT = 4_000

const prompts: ReadonlyArray<Prompt> = [
  {
    name: "explain_refusal",
    title: "Explain a refusal",
    description: "Explains why a call was refused, and what to do now.",
    arguments: [{ name: "refusal", description: "The text of the refused call.", required: true }],
    text: ({ refusal = "" }) =>
      `A call of this server was refused with the text between the lines.\n---\n${refusal}\n---\n` +
      "Call get_limits, which is always free. Then explain in a few sentences: which limit or rule refused the call " +
      "and whose it is; whether anything ran or was charged; when the same call will work, or what has to change in " +
      "it. Do not repeat the refused call."
  },
  {
    name: "explore_database",
    title: "Explore a database",
    description: "Finds out what is in a database, with few calls.",
    arguments: [
      { name: "database", description: "Its name; without one, a database is chosen first.", required: false }
    ],
    text: ({ database }) =>
      (database === undefined
        ? "Call list_databases and ask me which one to explore, unless there is only one. "
        : `Explore the database ${database}. `) +
      "Call list_schemas and list_tables, then describe_table for the three to five tables that seem to matter most. " +
      "Then tell me: what the database is about, its main tables and how they are joined, and three questions that " +
      "it can answer, each with its SQL. Run no statement before I have chosen one. If a call is refused, wait as long " +
      "as its text says and repeat it once."
  }
]

export const list = { prompts: prompts.map(({ text: _, ...prompt }) => prompt) }

/** Names of the arguments of a prompt; undefined where there is none of that name. */
export const argumentsOf = (name: string): ReadonlyArray<string> | undefined =>
  prompts.find((prompt) => prompt.name === name)?.arguments.map((argument) => argument.name)

/** The messages of a prompt, or what is wrong with what was asked. */
export const get = (name: unknown, given: { readonly [name: string]: unknown }) => {
  const prompt = prompts.find((one) => one.name === name)
  if (prompt === undefined) {
    return Either.left(
      `There is no prompt of this name. Prompts: ${prompts.map((one) => one.name).join(", ")}.`
    )
  }
  const values: { [name: string]: string } = {}
  for (const { name, required } of prompt.arguments) {
    const value = given[name]
    if (value === undefined || value === null || value === "") {
      if (required) return Either.left(`The prompt ${prompt.name} needs the argument ${name}.`)
    } else if (typeof value !== "string" || value.length > MAX_ARGUMENT) {
      return Either.left(`The argument ${name} is a text of ${MAX_ARGUMENT} characters at most.`)
    } else values[name] = value
  }
  const content = { type: "text", text: prompt.text(values) }
  return Either.right({ description: prompt.description, messages: [{ role: "user", content }] })
}
