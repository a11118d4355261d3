/** The exporter of telemetry, loaded where a collector is named and nowhere else. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const layer = (
  env: { readonly [name: string]: string | undefined },
  own: { readonly name: string; readonly version: string }
): Layer.Layer<never> =>
  Layer.suspend(() =>
    (env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "") === ""
      ? Layer.empty
      : Layer.unwrapEffect(
          Effect.map(
            Effect.promise(() => import("./Otlp.js")),
            ({ layerConfig }) => layerConfig(own)
          )
        )
  )
