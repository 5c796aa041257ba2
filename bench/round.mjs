// The side of a contender: one process that runs one of its tasks for a while whenever it is told to.
import { monitorEventLoopDelay } from "node:perf_hooks";
import Benchmark from "benchmark";

/**
 * Serves rounds to the parent process. `tasks` maps a name to a function that does some operations and gives
 * (a promise of) how many; a round answers operations a second, the event loop's lag and the peak of memory.
 */
export function contend(tasks, close = () => {}) {
  const warm = new Set();
  process.on("message", async (message) => {
    if (message === "close") {
      await close();
      process.disconnect();
      return;
    }
    try {
      const task = tasks[message.task];
      // The first time also prepares, compiles and touches memory that nobody has touched yet.
      if (!warm.has(task)) await task();
      warm.add(task);
      process.send(await round(task, message.seconds));
    } catch (error) {
      process.send({ error: `${error.name}: ${error.message}` });
    }
  });
  process.send("ready");
}

function round(task, seconds) {
  const lag = monitorEventLoopDelay({ resolution: 1 });
  let operations = 0;
  let error;
  return new Promise((resolve, reject) => {
    new Benchmark({
      defer: true,
      maxTime: seconds,
      minSamples: 3,
      initCount: 1,
      async fn(deferred) {
        try {
          operations = await task();
        } catch (thrown) {
          error = thrown;
          this.abort();
        }
        deferred.resolve();
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
    }).run({ async: true });
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
