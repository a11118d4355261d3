/**
 * The file of the audit log: whole lines at its end, put aside when it is full.
 *
 *     PATH ──full──> PATH.1 ──> PATH.2 ──> … ──> PATH.keep ──> thrown away
 *
 * Others may write to the same path (each server over stdio is a process of its own), put it aside, move it or
 * remove it.
 *
 * Invariants
 * 1. A line is counted as written only while the file that holds it has a name; else it is written again.
 * 2. Lines are appended with one call for as many as fit (`O_APPEND`): those of others never come between.
 * 3. Files are put aside by the holder of `PATH.lock` alone, and only while the path is the file that was full.
 *    A process that finds it locked writes on: a file that is somewhat too large loses nothing.
 */
import type { BigIntStats } from "node:fs"
import type { FileHandle } from "node:fs/promises"
import { open, rename, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import * as Directories from "../platform/directories.js"
import * as FileLock from "../platform/fileLock.js"
import { codeOf } from "../platform/fileReasons.js"

export interface Options {
  readonly path: string
  readonly maxBytes: number
  readonly keep: number
}

/** What became of the lines, and of the file meanwhile. */
export interface Report {
  /** Of the lines, from the first. */
  written: number
  /** Why the others were not. */
  failure?: unknown
  /** Bytes of each file that was thrown away. */
  readonly thrownAway: Array<number>
  /** The file is full, and why it was not put aside. */
  unrotated?: unknown
  /** Another process has renamed the file (`moved`) or removed it. */
  replaced?: "moved" | "removed"
}

/** Rounds in which nothing was written, before it is given up. */
const MAX_ROUNDS = 5

const statOf = (path: string): Promise<BigIntStats | undefined> =>
  stat(path, { bigint: true }).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") return undefined
    throw cause
  })

const isSame = (a: BigIntStats, b: BigIntStats | undefined): boolean => a.ino === b?.ino && a.dev === b.dev

const NEWLINE = 10

/** What cannot be read back is taken to be whole. */
const endsWithin = async (path: string, size: number): Promise<boolean> => {
  try {
    const file = await open(path, "r")
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
      return bytesRead === 1 && buffer[0] !== NEWLINE
    } finally {
      await file.close()
    }
  } catch {
    return false
  }
}

interface Current {
  readonly file: FileHandle
  readonly about: BigIntStats
  /** The file ends within a line: the next one must not become a part of it. */
  isTorn: boolean
}

export class AuditFile {
  private current: Current | undefined

  private constructor(private readonly options: Options) {}

  /** Rejects when the file cannot be written to. */
  static async open(options: Options): Promise<AuditFile> {
    const made = new AuditFile(options)
    await made.reopen()
    return made
  }

  /** Never rejects. For one caller at a time. */
  async append(lines: ReadonlyArray<string>): Promise<Report> {
    const report: Report = { written: 0, thrownAway: [] }
    try {
      for (let idle = 0; report.written < lines.length; idle++) {
        const before = report.written
        await this.appendSome(lines, report, idle)
        if (report.written > before) idle = 0
        else if (idle >= MAX_ROUNDS)
          throw Object.assign(new Error(), { code: "the file is removed again and again" })
      }
    } catch (cause) {
      report.failure = cause
      await this.close()
    }
    return report
  }

  async close(): Promise<void> {
    const file = this.current?.file
    this.current = undefined
    await file?.close().catch(() => {})
  }

  private async reopen(): Promise<Current> {
    const { path } = this.options
    Directories.make(dirname(path))
    const file = await open(path, "a", 0o600)
    try {
      const about = await file.stat({ bigint: true })
      const isTorn = about.isFile() && about.size > 0n && (await endsWithin(path, Number(about.size)))
      return (this.current = { file, about, isTorn })
    } catch (cause) {
      await file.close().catch(() => {})
      throw cause
    }
  }

  /** The file that the path names now, and how much others and we have written to it. */
  private async named(report: Report): Promise<{ readonly current: Current; readonly size: number }> {
    if (this.current !== undefined) {
      const there = await statOf(this.options.path)
      if (isSame(this.current.about, there)) {
        return { current: this.current, size: there?.isFile() === true ? Number(there.size) : 0 }
      }
      const { nlink } = await this.current.file.stat({ bigint: true })
      report.replaced = nlink === 0n ? "removed" : "moved"
      await this.close()
    }
    const current = await this.reopen()
    return { current, size: current.about.isFile() ? Number(current.about.size) : 0 }
  }

  /** One round: puts the file aside, or appends as many lines as it has room for. */
  private async appendSome(lines: ReadonlyArray<string>, report: Report, idle: number): Promise<void> {
    let { current, size } = await this.named(report)
    const first = report.written
    let end = first
    for (let room = this.options.maxBytes - size; end < lines.length; end++) {
      room -= Buffer.byteLength(lines[end] ?? "")
      // A line that fits nowhere has a file of its own.
      if (room < 0 && (size > 0 || end > first)) break
    }
    if (end === first) {
      if (idle < MAX_ROUNDS && (await this.putAside(current, report))) return
      ;({ current, size } = await this.named(report))
      end = lines.length
    }
    const text = Buffer.from(`${current.isTorn ? "\n" : ""}${lines.slice(first, end).join("")}`)
    const { bytesWritten } = await current.file.write(text)
    if (current.about.isFile()) {
      const { nlink } = await current.file.stat({ bigint: true })
      // Removed since it was looked at, before these lines or after: they cannot be read there.
      if (nlink === 0n) {
        report.replaced = "removed"
        return this.close()
      }
    }
    if (bytesWritten === text.length) {
      current.isTorn = false
      report.written = end
      return
    }
    // A full disk may take a part. What follows begins on a line of its own, with the line that was torn.
    const taken = text.subarray(current.isTorn ? 1 : 0, bytesWritten)
    if (bytesWritten > 0) current.isTorn = taken.at(-1) !== undefined && taken.at(-1) !== NEWLINE
    report.written = first + taken.reduce((count, byte) => (byte === NEWLINE ? count + 1 : count), 0)
  }

  /** False: the file is still there, full as it is. */
  private async putAside({ about }: Current, report: Report): Promise<boolean> {
    const { path } = this.options
    let lock: FileLock.FileLock | undefined
    try {
      lock = await FileLock.acquire(`${path}.lock`)
      if (lock === undefined) return false
      // Another process was faster: the file of that name has room.
      if (!isSame(about, await statOf(path))) return true
      // Not every system lets go of the name of an open file.
      await this.close()
      return await this.shift(lock, report)
    } catch (cause) {
      report.unrotated = cause
      return false
    } finally {
      await lock?.release()
    }
  }

  private async shift(lock: FileLock.FileLock, report: Report): Promise<boolean> {
    const { keep, path } = this.options
    const nameOf = (i: number): string => (i === 0 ? path : `${path}.${i}`)
    const oldest = await statOf(nameOf(keep))
    if (oldest !== undefined) {
      if (!(await lock.isHeld())) return false
      await rm(nameOf(keep), { force: true })
      report.thrownAway.push(Number(oldest.size))
    }
    for (let i = keep - 1; i >= 0; i--) {
      if (!(await lock.isHeld())) return false
      await rename(nameOf(i), nameOf(i + 1)).catch((cause: unknown) => {
        if (codeOf(cause) !== "ENOENT") throw cause
      })
    }
    return true
  }
}
