// The parent's side of a contender.
import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

/** A contender in a process of its own, ready for rounds. */
export class Contender {
  #child;

  static async start(name, environment) {
    const contender = new Contender();
    contender.#child = fork(new URL(`contenders/${name}.mjs`, import.meta.url), {
      env: { ...process.env, ...environment },
    });
    await contender.#answer();
    return contender;
  }

  /** `{ perSecond, lagP99 (ms), rss (bytes) }` of one task, run for about so many seconds. */
  async round(task, seconds) {
    this.#child.send({ task, seconds });
    const result = await this.#answer();
    if (result.error) throw new Error(`${task}: ${result.error}`);
    return result;
  }

  async close() {
    if (this.#child.exitCode !== null) return;
    this.#child.send("close");
    await once(this.#child, "exit");
  }

  #answer() {
    return new Promise((resolve, reject) => {
      const gone = (code) => reject(new Error(`a contender exited with ${code}`));
      this.#child.once("exit", gone);
      this.#child.once("message", (message) => {
        this.#child.off("exit", gone);
        resolve(message);
      });
    });
  }
}

const loop = new URL("../build/loop/bench/pkcs11_loop", import.meta.url).pathname;

/** The raw C++ loop: one HSM operation a record, on as many threads as serve it best. */
export class RawLoop {
  #environment;

  constructor(environment) {
    if (!existsSync(loop)) throw new Error(`${loop} is missing; npm run bench builds it`);
    this.#environment = { ...process.env, ...environment };
  }

  async round(task, seconds) {
    const { BENCH_MODULE, BENCH_TOKEN } = this.#environment;
    const [operation, threads] = task.split(" x");
    const args = [BENCH_MODULE, BENCH_TOKEN, operation, "256", threads, String(seconds)];
    const { stdout } = await promisify(execFile)(loop, args, { env: this.#environment });
    return { perSecond: JSON.parse(stdout).perSecond, lagP99: 0, rss: 0 };
  }

  async close() {}
}
