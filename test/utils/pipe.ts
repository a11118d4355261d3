/** The server over stdio inside this process: what is written to it, and what it answers. */
import { Effect, Layer } from "effect"
import { PassThrough } from "node:stream"
import * as Principal from "../../src/platform/Principal.js"
import * as Stdio from "../../src/mcp/stdio/Stdio.js"
import * as H from "./http.js"

export interface Answer {
  readonly id?: string | number | null
  readonly method?: string
  readonly params?: { readonly [key: string]: unknown }
  readonly result?: { readonly [key: string]: unknown }
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export class Pipe {
  readonly answers: Array<Answer> = []
  readonly lines: Array<string> = []
  constructor(
    readonly stdin: PassThrough,
    private readonly stdout: PassThrough,
    readonly ended: Effect.Effect<void>
  ) {
    let rest = ""
    stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        this.lines.push(line)
        this.answers.push(JSON.parse(line))
      }
    })
  }

  /** The client is gone and reads no more. */
  leave(): void {
    this.stdout.destroy()
  }

  write(text: string | Buffer): void {
    this.stdin.write(text)
  }

  send(message: object): void {
    this.write(`${JSON.stringify(message)}\n`)
  }

  /** Waits for so many answers, all together. */
  until(count: number): Effect.Effect<ReadonlyArray<Answer>> {
    return Effect.sleep(1).pipe(
      Effect.repeat({ until: () => this.answers.length >= count }),
      Effect.map(() => this.answers)
    )
  }

  /** Everything that was answered to what was written by now: nothing comes after the answer to a ping. */
  readonly settled: Effect.Effect<ReadonlyArray<Answer>> = Effect.suspend(() => {
    const id = `settled-${this.answers.length}`
    this.send(H.message(id, "ping"))
    return Effect.sleep(1).pipe(
      Effect.repeat({ until: () => this.answers.some((answer) => answer.id === id) }),
      Effect.map(() => this.answers.splice(0).filter((answer) => answer.id !== id))
    )
  })
}

export const pipe = (of: H.ServerOptions & { readonly maxCalls?: number } = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(H.layers(of))
    const stdin = new PassThrough()
    const stdout = new PassThrough()
    const principal = Principal.make("local")
    const serving = yield* Effect.forkScoped(
      Effect.provide(Stdio.serve({ stdin, stdout, principal, maxCalls: of.maxCalls }), context)
    )
    return new Pipe(stdin, stdout, Effect.asVoid(serving.await))
  })
