/** How long an answer holds, so that asking often costs the token nothing. */
const HOLDS = 1_000;
/** How long the token may take. */
const PATIENCE = 2_000;

/** Whether the HSM answers: asked at most once a second, however often it is to be known. */
export class Health {
  readonly #ask: () => Promise<unknown>;
  #asked = Number.NEGATIVE_INFINITY;
  #answer: Promise<boolean> = Promise.resolve(false);

  /** `ask` rejects when the HSM does not answer; it may also never settle. */
  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask;
  }

  check(): Promise<boolean> {
    const now = performance.now();
    if (now - this.#asked >= HOLDS) {
      this.#asked = now;
      this.#answer = answers(this.#ask);
    }
    return this.#answer;
  }
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, PATIENCE, false);
    timer.unref();
  });
  const answered = ask().then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}
