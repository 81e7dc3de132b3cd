/**
 * Preload: OpenTelemetry's auto-instrumentation as its documentation sets it up, with a batch processor
 * whose exporter throws everything away. What is measured is observing, not sending.
 */
import { register } from 'node:module'
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base'

register('@opentelemetry/instrumentation/hook.mjs', import.meta.url)

const exporter: SpanExporter = {
  export: (_spans, done) => {
    // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- SUCCESS; the enum's package is not ours to depend on
    done({ code: 0 })
  },
  shutdown: () => Promise.resolve(),
}

new NodeSDK({
  spanProcessors: [new BatchSpanProcessor(exporter)],
  metricReaders: [],
  logRecordProcessors: [],
  instrumentations: [getNodeAutoInstrumentations()],
}).start()
