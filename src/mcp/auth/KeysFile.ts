/**
 * The file of the API keys: of each key a salted hash (scrypt), and never the key itself.
 *
 * It is written as a whole under another name and renamed into place, readable by its owner alone, one writer at a time;
 * a reader sees the old file or the new one. A revoked key stays in the file as revoked: a file without keys turns
 * authentication off in `auto` mode, and revoking the last key must not do that.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"
import { readFile, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { namePattern } from "../../platform/Principal.js"
import * as Directories from "../../platform/directories.js"
import { codeOf } from "../../platform/fileReasons.js"
import * as FileLock from "../../platform/fileLock.js"
import * as OtherWriters from "../../platform/otherWriters.js"
import { replaceFile } from "../../platform/replaceFile.js"
import { withoutStack } from "../../platform/withoutStack.js"

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
  /** May operate the server. */
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
 * Can users other than its owner read it?
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

/** A file that another user of the machine can write to could hold keys of that user. */
const trusted = (path: string): Effect.Effect<void, KeysFileError> =>
  Effect.suspend(() => {
    const problem = OtherWriters.problem(path)
    return problem === undefined
      ? Effect.void
      : new KeysFileError({ path, description: `its keys are not taken: ${problem}` })
  })

/**
 * The keys in the file; none when there is no file. Fails when another user of the machine could have written it.
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

const write = (path: string, text: string) => io(path, "be written", () => replaceFile(path, `${text}\n`))

/** Milliseconds after which the lock of a writer that ended without releasing it is taken over. */
const STALE_LOCK_MS = 10_000

/** Another writer holds the lock. */
class Busy extends Data.TaggedError("Busy") {}

const busy: Effect.Effect<never, Busy> = Effect.suspend(() => Effect.fail(withoutStack(() => new Busy())))

const otherWriter = (path: string) =>
  new KeysFileError({ path, description: "is being written by another process" })

/** Waits up to five seconds for other writers. */
const patience = Schedule.intersect(Schedule.spaced(20), Schedule.recurs(250))

/**
 * Changes the keys, one writer at a time.
 *
 * @since 0.1.0
 * @category writing
 */
export const modify = <A, E>(
  path: string,
  change: (keys: ReadonlyArray<Key>) => Effect.Effect<readonly [A, ReadonlyArray<Key>], E>
): Effect.Effect<A, E | KeysFileError> =>
  Effect.acquireUseRelease(
    io(path, "be locked", () => {
      Directories.make(dirname(path))
      return FileLock.acquire(`${path}.lock`, STALE_LOCK_MS)
    }),
    (lock) =>
      Effect.gen(function* () {
        if (lock === undefined) return yield* busy
        const [result, keys] = yield* Effect.flatMap(read(path), change)
        const text = yield* Effect.orDie(Schema.encode(Document)({ version: 1, keys }))
        // A writer that was suspended for so long that its lock was taken over does not write.
        if (!(yield* Effect.promise(() => lock.isHeld()))) return yield* otherWriter(path)
        yield* write(path, text)
        return result
      }),
    (lock) => (lock === undefined ? Effect.void : Effect.promise(() => lock.release()))
  ).pipe(
    Effect.retry({ schedule: patience, while: (error) => error instanceof Busy }),
    Effect.catchIf(
      (error) => error instanceof Busy,
      () => otherWriter(path)
    )
  )

/** About 30 ms and 16 MiB a hash: cheap for the server, expensive for an attacker who has the file. */
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
