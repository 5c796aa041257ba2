/** The requests under way: changes take turns, and a close waits for all. */
export class Flight {
  #underWay = 0;
  #closed = false;
  #landed: (() => void) | undefined;
  #lastTurn: Promise<unknown> = Promise.resolve();
  readonly #joint = new Map<string, Promise<unknown>>();

  /** Throws once the service is closed. */
  enter(): void {
    if (this.#closed) throw new Error("this Kms is closed: open another with Kms.open()");
    this.#underWay++;
  }

  leave(): void {
    if (--this.#underWay === 0) this.#landed?.();
  }

  /** Runs one body after the other, so that no two decide on the same rows at the same time. */
  inTurn<T>(body: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(body);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  /** Runs the body once for all that ask for it by this name while it is under way. */
  jointly<T>(name: string, body: () => Promise<T>): Promise<T> {
    const known = this.#joint.get(name) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const made = body().finally(() => this.#joint.delete(name));
    this.#joint.set(name, made);
    return made;
  }

  /** Lets nothing more in, and resolves when all that was under way has its answer. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#landed = resolve;
    });
  }
}
