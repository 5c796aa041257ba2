/** Stops to begin new ones at the first failure, and then rejects with it. */
export async function inParallel<T>(items: readonly T[], lanes: number, work: (item: T) => Promise<void>) {
  const left = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const lane = async () => {
    for (const item of left) {
      await work(item).catch((error) => {
        failure ??= { error };
      });
      if (failure !== undefined) return;
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, lanes) }, lane));
  if (failure !== undefined) throw failure.error;
}
