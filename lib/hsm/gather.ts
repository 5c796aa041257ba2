/**
 * So many items are worth a crossing of their own: the HSM works on them while the rest is still being asked for. Each
 * one behind those under way waits for twice as many, so that many calls make few crossings.
 */
const ENOUGH = 8;

/**
 * Concurrent calls become one crossing into the engine: what is asked for during one turn of the event loop goes
 * together, and while as many crossings are under way as may be (two unless told: one in the HSM, one ready behind it) all
 * else waits its turn and gathers. A lone call therefore waits for nothing, and many calls cost the HSM little
 * more than one.
 */
export class Gather<Item> {
  readonly #cross: (items: Item[]) => Promise<void>;
  readonly #most: number;
  #waiting: Item[] = [];
  #scheduled = false;
  #underWay = 0;

  /** `cross` settles its items itself and never rejects; so many crossings may be under way. */
  constructor(cross: (items: Item[]) => Promise<void>, most = 2) {
    this.#cross = cross;
    this.#most = most;
  }

  add(item: Item): void {
    this.#waiting.push(item);
    if (this.#underWay === this.#most) return;
    if (this.#waiting.length >= ENOUGH << this.#underWay) this.#start();
    else this.#startSoon();
  }

  #startSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#waiting.length > 0 && this.#underWay < this.#most) this.#start();
    });
  }

  #start(): void {
    const items = this.#waiting;
    this.#waiting = [];
    this.#underWay++;
    void this.#cross(items).then(() => {
      this.#underWay--;
      if (this.#waiting.length > 0) this.#startSoon();
    });
  }
}
