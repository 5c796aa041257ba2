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
      execArgv: ["--expose-gc"],
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

/** The programs of bench/native, and the arguments that follow from a task. */
const loops = {
  // One HSM operation a record, on so many threads: "gcm-encrypt x4".
  raw(task, { BENCH_MODULE, BENCH_TOKEN }) {
    const [operation, threads] = task.split(" x");
    return ["pkcs11_loop", BENCH_MODULE, BENCH_TOKEN, operation, "256", threads];
  },
  // The engine's own AES-GCM on every core: "seal fresh 65536".
  gcm(task, { BENCH_SIZE }) {
    const [operation, output, frame] = task.split(" ");
    return ["gcm_loop", operation, output, BENCH_SIZE, frame];
  },
};

/** A raw C++ loop, started for each round. */
export class Loop {
  #command;
  #environment;

  static exists(name) {
    return name in loops;
  }

  constructor(name, environment) {
    this.#command = loops[name];
    this.#environment = { ...process.env, ...environment };
  }

  async round(task, seconds) {
    const [name, ...rest] = this.#command(task, this.#environment);
    const program = new URL(`../build/loop/bench/${name}`, import.meta.url).pathname;
    if (!existsSync(program)) throw new Error(`${program} is missing; npm run bench builds it`);
    const { stdout } = await promisify(execFile)(program, [...rest, String(seconds)], {
      env: this.#environment,
    });
    return { perSecond: JSON.parse(stdout).perSecond };
  }

  async close() {}
}
