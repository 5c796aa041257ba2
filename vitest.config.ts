import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A process a file: SoftHSM reads its configuration once in a process, and a crash takes only its own file along.
    pool: "forks",
    // Much of the time is waiting, for disks and for other processes; one file after the other takes twice as long.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
});
