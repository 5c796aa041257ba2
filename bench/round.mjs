// The side of a contender: one process that runs one of its tasks for a while whenever it is told to.
import { monitorEventLoopDelay } from "node:perf_hooks";
import Benchmark from "benchmark";

/**
 * Serves rounds to the parent process. `tasks` maps a name to a function that does some operations and gives
 * (a promise of) how many; a round answers operations a second, the event loop's lag and the peak of memory.
 * `between` is called, untimed, before each run of a task that takes 50 ms or more, and at a round's end: it frees what
 * the last run has made. Each round warms up first: it prepares, compiles, and touches the memory that the machine gave
 * up since the last one, which costs more than what is measured.
 */
export function contend(tasks, close = () => {}, between = () => {}) {
  process.on("message", async (message) => {
    if (message === "close") {
      await close();
      process.disconnect();
      return;
    }
    try {
      const task = tasks[message.task];
      if (task === undefined) throw new Error("there is no such task");
      await task();
      const figures = await round(task, between, message.seconds);
      between();
      process.send(figures);
    } catch (error) {
      process.send({ error: `${error.name}: ${error.message}` });
    }
  });
  process.send("ready");
}

function round(task, between, seconds) {
  const lag = monitorEventLoopDelay({ resolution: 1 });
  let operations = 0;
  let error;
  return new Promise((resolve, reject) => {
    const run = async (deferred) => {
      try {
        operations = await task();
      } catch (thrown) {
        error = thrown;
        benchmark.abort();
      }
      deferred.resolve();
    };
    // benchmark.js compiles the source text of `fn` and `setup`, and calls the functions themselves when that throws at
    // their first step, as it does here, where they know names that the text alone does not.
    const benchmark = new Benchmark({
      defer: true,
      maxTime: seconds,
      minSamples: 1,
      initCount: 1,
      setup() {
        between();
      },
      fn(deferred) {
        run(deferred);
      },
      onStart: () => lag.enable(),
      onAbort: () => reject(error),
      onComplete() {
        lag.disable();
        // The histogram counts the timer's own millisecond.
        const lagP99 = Math.max(0, lag.percentile(99) / 1e6 - 1);
        const rss = process.resourceUsage().maxRSS * 1024;
        resolve({ perSecond: this.hz * operations, lagP99, rss });
      },
    });
    benchmark.run({ async: true });
  });
}

/** Runs `call(i)` `count` times with `flights` under way at a time. */
export async function inFlight(flights, count, call) {
  let next = 0;
  const flight = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: flights }, flight));
  return count;
}
