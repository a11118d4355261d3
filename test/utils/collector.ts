/** A collector of OpenTelemetry on this machine: what was sent to it. */
import { Effect } from "effect"
import { once } from "node:events"
import * as NodeHttp from "node:http"

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<{
    readonly key: string
    readonly value: { readonly stringValue?: string }
  }>
  readonly status: { readonly code: number }
}

export const noSpan: Span = {
  traceId: "",
  spanId: "",
  name: "none",
  kind: 0,
  startTimeUnixNano: "",
  endTimeUnixNano: "",
  attributes: [],
  status: { code: -1 }
}

/** One of a counter or of a histogram. */
export interface Point {
  readonly attributes: Span["attributes"]
  readonly count?: string
  readonly asDouble?: number
}

interface MetricSent {
  readonly name: string
  readonly sum?: { readonly dataPoints: ReadonlyArray<Point> }
  readonly histogram?: { readonly dataPoints: ReadonlyArray<Point> }
}

export class Collector {
  readonly bodies: Array<{ readonly path: string; readonly key: string | undefined; readonly body: string }> =
    []
  constructor(
    readonly server: NodeHttp.Server,
    readonly port: number
  ) {}

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}/`
  }

  /** The points of counters and histograms in the latest export. */
  get points(): ReadonlyArray<{ readonly name: string; readonly point: Point }> {
    const sent = this.bodies.filter(({ path }) => path === "/v1/metrics").at(-1)
    if (sent === undefined) return []
    const { metrics } = JSON.parse(sent.body).resourceMetrics[0].scopeMetrics[0] as {
      readonly metrics: ReadonlyArray<MetricSent>
    }
    return metrics.flatMap(({ histogram, name, sum }) =>
      [...((sum ?? histogram)?.dataPoints ?? [])].map((point) => ({ name, point }))
    )
  }

  get spans(): ReadonlyArray<Span> {
    return this.bodies
      .filter(({ path }) => path === "/v1/traces")
      .flatMap(({ body }) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans as ReadonlyArray<Span>)
  }
}

export const collector = (status = 200) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = NodeHttp.createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
        request.on("end", () => {
          made.bodies.push({ path: request.url ?? "", key: request.headers["x-key"]?.toString(), body })
          response.writeHead(status).end("{}")
        })
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      const made: Collector = new Collector(server, typeof address === "object" ? (address?.port ?? 0) : 0)
      return made
    }),
    ({ server }) =>
      Effect.promise(async () => {
        server.closeAllConnections()
        server.close()
        await once(server, "close")
      })
  )
