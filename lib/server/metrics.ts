/** What a scrape also tells, read when it comes. */
export interface Gauges {
  readonly handles: {
    readonly open: number;
    readonly limit: number;
    readonly hits: number;
    readonly misses: number;
  };
  /** Whether the token answers. */
  readonly available: boolean;
  readonly connections: number;
}

/** Upper bounds of the latency histogram, in seconds. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Latency {
  /** One for each bound, and one for what is beyond all; not yet cumulated. */
  readonly counts: number[];
  sum: number;
}

/** Counts requests, in the text format of Prometheus (version 0.0.4). Labels have few values by construction. */
export class Metrics {
  readonly #outcomes = new Map<string, Map<string, number>>();
  readonly #latencies = new Map<string, Latency>();
  #inFlight = 0;

  get inFlight(): number {
    return this.#inFlight;
  }

  /** A request has come; hand the result to `end`. */
  begin(): number {
    this.#inFlight++;
    return performance.now();
  }

  /** `operation` is one of the table's; `error` is the name of one of ours. */
  end(began: number, operation = "none", error = "OK"): void {
    this.#inFlight--;
    const outcomes = this.#outcomes.get(operation) ?? new Map<string, number>();
    if (outcomes.size === 0) this.#outcomes.set(operation, outcomes);
    outcomes.set(error, (outcomes.get(error) ?? 0) + 1);
    let latency = this.#latencies.get(operation);
    if (latency === undefined) {
      latency = { counts: new Array(BOUNDS.length + 1).fill(0), sum: 0 };
      this.#latencies.set(operation, latency);
    }
    const seconds = (performance.now() - began) / 1000;
    let at = 0;
    while (at < BOUNDS.length && seconds > (BOUNDS[at] as number)) at++;
    (latency.counts[at] as number)++;
    latency.sum += seconds;
  }

  text({ handles, available, connections }: Gauges): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string, samples: readonly string[]) =>
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples);
    const one = (name: string, type: string, help: string, value: number) =>
      family(name, type, help, [`${name} ${value}`]);

    const requests: string[] = [];
    for (const [operation, outcomes] of this.#outcomes)
      for (const [outcome, count] of outcomes)
        requests.push(`keystead_requests_total{operation="${operation}",outcome="${outcome}"} ${count}`);
    family("keystead_requests_total", "counter", "Requests answered, by operation and outcome.", requests);
    const seconds = [...this.#latencies].flatMap(([operation, latency]) => histogram(operation, latency));
    family(
      "keystead_request_seconds",
      "histogram",
      "Time from a request's last byte to its answer.",
      seconds,
    );
    one("keystead_requests_in_flight", "gauge", "Requests that have no answer yet.", this.#inFlight);
    one("keystead_connections", "gauge", "Connections that are open.", connections);
    one("keystead_hsm_available", "gauge", "1 while the token can be reached.", Number(available));
    one("keystead_hsm_handles", "gauge", "Keys that have a handle in the token.", handles.open);
    one("keystead_hsm_handles_limit", "gauge", "How many may have one.", handles.limit);
    one("keystead_hsm_handle_hits_total", "counter", "Uses of keys that had a handle.", handles.hits);
    one(
      "keystead_hsm_handle_misses_total",
      "counter",
      "Uses of keys that were unwrapped first.",
      handles.misses,
    );
    return `${lines.join("\n")}\n`;
  }
}

function histogram(operation: string, { counts, sum }: Latency): string[] {
  const name = "keystead_request_seconds";
  let total = 0;
  const buckets = counts.map((count, at) => {
    total += count;
    return `${name}_bucket{operation="${operation}",le="${BOUNDS[at] ?? "+Inf"}"} ${total}`;
  });
  return [
    ...buckets,
    `${name}_sum{operation="${operation}"} ${sum}`,
    `${name}_count{operation="${operation}"} ${total}`,
  ];
}
