/**
 * The file that holds the API keys: never a key itself, only a salted hash of it (scrypt).
 *
 * Written as a whole beside itself and renamed into place, for its owner alone, one writer at a time; a
 * reader sees the old file or the new one. A revoked key stays in it as revoked: a file without keys
 * means that nobody ever asked for authentication, and that must not be what revoking the last one does.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"
import { open, readFile, rename, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { namePattern } from "../../platform/Principal.js"
import * as Directories from "../../platform/directories.js"
import { codeOf } from "../../platform/fileReasons.js"
import * as OtherWriters from "../../platform/otherWriters.js"

const Name = Schema.String.pipe(Schema.pattern(namePattern))

/**
 * @since 0.1.0
 * @category models
 */
export const Key = Schema.Struct({
  /** The public part of the key. */
  id: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{12}$/)),
  client: Name,
  /** The client's own tier when absent. */
  tier: Schema.optional(Name),
  /** May read what is the operator's. */
  admin: Schema.Boolean,
  salt: Schema.String,
  hash: Schema.String,
  createdAt: Schema.String,
  revokedAt: Schema.optional(Schema.String)
})
/**
 * @since 0.1.0
 * @category models
 */
export type Key = typeof Key.Type

const Document = Schema.parseJson(Schema.Struct({ version: Schema.Literal(1), keys: Schema.Array(Key) }))

/**
 * The file cannot be used. The description holds no content of it.
 *
 * @since 0.1.0
 * @category errors
 */
export class KeysFileError extends Schema.TaggedError<KeysFileError>("snowguard/KeysFileError")(
  "KeysFileError",
  { path: Schema.String, description: Schema.String }
) {
  override get message(): string {
    return `${this.path}: ${this.description}`
  }
}

const io = <A>(path: string, what: string, run: () => Promise<A>): Effect.Effect<A, KeysFileError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new KeysFileError({ path, description: `cannot ${what}: ${codeOf(cause)}` })
  })

/**
 * Tells one state of the file from another; undefined when there is none.
 *
 * @since 0.1.0
 * @category reading
 */
export const version = (path: string): Effect.Effect<string | undefined, KeysFileError> =>
  io(path, "be looked at", () =>
    stat(path, { bigint: true }).then(
      ({ dev, ino, mtimeNs, size }) => `${dev}:${ino}:${mtimeNs}:${size}`,
      (cause: unknown) => {
        if (codeOf(cause) === "ENOENT") return undefined
        throw cause
      }
    )
  )

/**
 * Can others than its owner read it?
 *
 * @since 0.1.0
 * @category reading
 */
export const isExposed = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    stat(path).then(
      ({ mode }) => process.platform !== "win32" && (mode & 0o077) !== 0,
      () => false
    )
  )

/** A key that somebody else has put there would let him in. */
const trusted = (path: string): Effect.Effect<void, KeysFileError> =>
  Effect.suspend(() => {
    const problem = OtherWriters.problem(path)
    return problem === undefined
      ? Effect.void
      : new KeysFileError({ path, description: `its keys are not taken: ${problem}` })
  })

/**
 * The keys in the file; none when there is no file. Those that another user of the machine could have put
 * there are not taken.
 *
 * @since 0.1.0
 * @category reading
 */
export const read = (path: string): Effect.Effect<ReadonlyArray<Key>, KeysFileError> =>
  Effect.zipRight(
    trusted(path),
    io(path, "be read", () =>
      readFile(path, "utf8").catch((cause: unknown) => {
        if (codeOf(cause) === "ENOENT") return undefined
        throw cause
      })
    )
  ).pipe(
    Effect.flatMap((text) =>
      text === undefined
        ? Effect.succeed([])
        : Either.match(Schema.decodeEither(Document)(text), {
            // The reason would quote the file.
            onLeft: () =>
              new KeysFileError({
                path,
                description:
                  "is not a file of keys of this version; restore it, or move it away and make new keys"
              }),
            onRight: ({ keys }) => Effect.succeed(keys)
          })
    )
  )

const write = (path: string, keys: ReadonlyArray<Key>) =>
  io(path, "be written", async () => {
    const text = await Effect.runPromise(Schema.encode(Document)({ version: 1, keys }))
    const aside = `${path}.${process.pid}.new`
    const file = await open(aside, "w", 0o600)
    try {
      await file.writeFile(`${text}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(aside, path)
  })

/** A writer that died leaves its lock; nobody writes for so long. */
const STALE_LOCK_MS = 10_000

/** Somebody else writes: worth waiting for. */
class Busy {
  readonly _tag = "Busy"
}

const unlessMissing = (cause: unknown) => {
  if (codeOf(cause) !== "ENOENT") throw cause
}

/** Fails with `EEXIST` when somebody has it. */
const create = async (file: string, owner: string): Promise<void> => {
  const handle = await open(file, "wx", 0o600)
  try {
    await handle.writeFile(owner)
  } finally {
    await handle.close()
  }
}

const ownerOf = (file: string) => readFile(file, "utf8").catch(unlessMissing)

/**
 * Takes away the lock of a writer that died. Whoever renames it has it alone; and if what he has is another
 * than the one that he looked at, because a new writer was quicker than he, he puts it back.
 */
const clearStale = async (file: string, mine: string, now: number): Promise<void> => {
  const found = await stat(file).catch(unlessMissing)
  if (found === undefined || now - found.mtimeMs <= STALE_LOCK_MS) return
  const seen = await ownerOf(file)
  const aside = `${file}.${mine}`
  await rename(file, aside).catch(unlessMissing)
  const taken = await ownerOf(aside)
  if (taken !== undefined && taken !== seen) await create(file, taken).catch(() => {})
  await rm(aside, { force: true })
}

/** Gives the name under which the lock is held. */
const lock = (path: string): Effect.Effect<string, KeysFileError> => {
  const file = `${path}.lock`
  const mine = `${process.pid}.${randomBytes(8).toString("hex")}`
  const attempt = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.tryPromise({
      try: async () => {
        await clearStale(file, mine, now)
        await create(file, mine)
        return mine
      },
      catch: (cause) =>
        codeOf(cause) === "EEXIST"
          ? new Busy()
          : new KeysFileError({ path, description: `cannot be locked: ${codeOf(cause)}` })
    })
  )
  return Effect.zipRight(
    io(path, "be locked", async () => Directories.make(dirname(path))),
    Effect.retry(attempt, {
      schedule: Schedule.intersect(Schedule.spaced(20), Schedule.recurs(250)),
      while: (error) => error._tag === "Busy"
    })
  ).pipe(Effect.catchTag("Busy", () => Effect.fail(takenAway(path))))
}

const takenAway = (path: string) =>
  new KeysFileError({ path, description: "is being written by somebody else" })

/** A writer that was asleep for so long that its lock was taken away does not write. */
const stillMine = (path: string, mine: string): Effect.Effect<void, KeysFileError> =>
  Effect.flatMap(
    io(path, "be locked", () => ownerOf(`${path}.lock`)),
    (owner) => (owner === mine ? Effect.void : Effect.fail(takenAway(path)))
  )

const unlock = (path: string, mine: string): Effect.Effect<void> =>
  Effect.zipRight(
    stillMine(path, mine),
    io(path, "be unlocked", () => rm(`${path}.lock`, { force: true }))
  ).pipe(Effect.ignore)

/**
 * Changes the keys; nobody else changes them meanwhile.
 *
 * @since 0.1.0
 * @category writing
 */
export const modify = <A, E>(
  path: string,
  change: (keys: ReadonlyArray<Key>) => Effect.Effect<readonly [A, ReadonlyArray<Key>], E>
): Effect.Effect<A, E | KeysFileError> =>
  Effect.acquireUseRelease(
    lock(path),
    (mine) =>
      Effect.flatMap(Effect.flatMap(read(path), change), ([result, keys]) =>
        Effect.as(Effect.zipRight(stillMine(path, mine), write(path, keys)), result)
      ),
    (mine) => unlock(path, mine)
  )

/** About 30 ms and 16 MiB each: cheap for us, expensive for whoever has stolen the file. */
const cost = { N: 2 ** 14, r: 8, p: 1 }
const HASH_BYTES = 32

const derive = (secret: string, salt: string) =>
  Effect.async<Buffer>((resume) => {
    scrypt(secret, Buffer.from(salt, "base64url"), HASH_BYTES, cost, (error, hash) =>
      resume(error === null ? Effect.succeed(hash) : Effect.die(error))
    )
  })

/**
 * @since 0.1.0
 * @category hashing
 */
export const hash = (secret: string): Effect.Effect<Pick<Key, "salt" | "hash">> =>
  Effect.suspend(() => {
    const salt = randomBytes(16).toString("base64url")
    return Effect.map(derive(secret, salt), (hash) => ({ salt, hash: hash.toString("base64url") }))
  })

/**
 * In constant time.
 *
 * @since 0.1.0
 * @category hashing
 */
export const matches = (key: Key, secret: string): Effect.Effect<boolean> =>
  Effect.map(derive(secret, key.salt), (derived) => {
    const expected = Buffer.from(key.hash, "base64url")
    return expected.length === derived.length && timingSafeEqual(expected, derived)
  })
