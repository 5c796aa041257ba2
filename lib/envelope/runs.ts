import {
  type Body,
  checkFrameNumbers,
  type Direction,
  type FrameEngine,
  framesIn,
  framesInRun,
  type Passed,
} from "./body.ts";
import type { Intake } from "./intake.ts";
import type { Witness } from "./signature.ts";

export interface Passage {
  engine: FrameEngine;
  direction: Direction;
  body: Body;
  /** Sees the frames as they are sealed, in their order. */
  witness?: Witness | undefined;
  /** Aborts between runs. */
  signal?: AbortSignal | undefined;
  /** Told after each run how many bytes of the body have been passed. */
  progress?: ((done: number) => void) | undefined;
}

/** Runs of one body in the engine at the same time, so that its threads never wait for the next one. */
const IN_FLIGHT = 3;
const RUN_IN_MEMORY = 16 << 20;
/** What is signed is hashed on the caller's thread, which shall not be busy with it for long. */
const RUN_SIGNED = 1 << 20;

/**
 * Takes the frames of a whole body from memory to memory; `output` is as long as the direction says. When it rejects, no
 * plaintext is left in it.
 */
export async function passWhole(passage: Passage, input: Uint8Array, output: Uint8Array): Promise<void> {
  const { engine, direction, body, witness, signal, progress } = passage;
  const whole = direction.run(input.length, body.frameLength, true);
  checkFrameNumbers(1, whole);
  const regular = direction.regular(body.frameLength);
  const step = framesInRun(witness ? RUN_SIGNED : RUN_IN_MEMORY, body.frameLength);
  const running: Promise<Passed>[] = [];
  let done = 0;
  let reached = 0;
  async function pass(frame: number, end: number): Promise<Passed> {
    const final = end >= whole.frames;
    const part = input.subarray(frame * regular.input, final ? input.length : end * regular.input);
    reached = final ? output.length : end * regular.output;
    const room = output.subarray(frame * regular.output, reached);
    await direction.start(engine, { ...body, firstSequence: frame + 1, final, input: part, output: room });
    done += part.length;
    progress?.(done);
    return { input: part, output: room };
  }
  async function settle() {
    const passed = (await running.shift()) as Passed;
    witness?.update(direction.sealed(passed));
  }
  try {
    for (let frame = 0; frame < whole.frames; frame += step) {
      signal?.throwIfAborted();
      const run = pass(frame, frame + step);
      // Awaited in turn below; a failure in the meantime is not an unhandled one.
      run.catch(ignore);
      running.push(run);
      if (running.length === IN_FLIGHT) await settle();
    }
    while (running.length > 0) await settle();
    signal?.throwIfAborted();
  } catch (error) {
    await Promise.allSettled(running);
    // No further: to wipe what was never touched would take longer than all before.
    if (direction.footed) output.fill(0, 0, reached);
    throw error;
  }
}

/**
 * Takes a body from an intake, run by run: while the consumer has one run, the next is in the engine and the
 * one behind it is being taken in. At most three runs of about `runLength` bytes are held, besides what the
 * consumer keeps. `allocate` makes the room for what comes out; it may give the same room again for every
 * second run, when the consumer is done with a run before it asks for the next, and for every third, when it is
 * before it asks for the one after that.
 */
export async function* passRuns(
  passage: Passage & { intake: Intake; runLength: number; allocate: (length: number) => Uint8Array },
): AsyncGenerator<Uint8Array, void, void> {
  const { engine, direction, body, witness, intake, signal, progress, allocate } = passage;
  const { frameLength } = body;
  const regular = direction.regular(frameLength);
  const footerLength = (direction.footed && witness?.footerLength) || 0;
  // With so many bytes at hand, what is in front of them is no final frame.
  const tail = direction.tail + footerLength;
  const capacity = framesInRun(passage.runLength, frameLength) * regular.input + tail;
  const room = rotating(3);

  async function take(carried: Uint8Array) {
    const buffer = room(capacity);
    buffer.set(carried);
    const length = carried.length + (await intake.fill(buffer.subarray(carried.length)));
    return { bytes: buffer.subarray(0, length), ends: length < capacity };
  }
  async function pass(input: Uint8Array, length: number, firstSequence: number, final: boolean) {
    const output = allocate(length);
    await direction.start(engine, { ...body, firstSequence, final, input, output });
    done += input.length;
    progress?.(done);
    return { input, output };
  }
  function seen(passed: Passed): Uint8Array {
    witness?.update(direction.sealed(passed));
    return passed.output;
  }

  let firstSequence = 1;
  let done = 0;
  let taking = take(new Uint8Array(0));
  let passing: Promise<Passed> | undefined;
  try {
    while (true) {
      const { bytes, ends } = await taking;
      signal?.throwIfAborted();
      const available = ends ? framesIn(bytes, frameLength, footerLength) : bytes.length - footerLength;
      const run = direction.run(available, frameLength, ends);
      checkFrameNumbers(firstSequence, run);
      const before = passing;
      passing = pass(bytes.subarray(0, run.input), run.output, firstSequence, ends);
      passing.catch(ignore);
      if (!ends) {
        taking = take(bytes.subarray(run.input));
        taking.catch(ignore);
      }
      if (before) yield seen(await before);
      firstSequence += run.frames;
      if (!ends) continue;
      const last = seen(await passing);
      const footer = witness?.finish(bytes.subarray(available));
      yield last;
      if (footer !== undefined && footer.length > 0) yield footer;
      return;
    }
  } finally {
    // The engine has the key and the buffers until then; a source may answer whenever it likes.
    await Promise.allSettled([passing]);
  }
}

/** Gives `count` buffers in turn, over and over. */
export function rotating(count: number): (length: number) => Uint8Array {
  const buffers: Uint8Array[] = [];
  let turn = 0;
  return (length) => {
    const i = turn++ % count;
    let buffer = buffers[i];
    if (buffer === undefined || buffer.length < length) {
      buffer = Buffer.allocUnsafeSlow(length);
      buffers[i] = buffer;
    }
    return buffer.subarray(0, length);
  };
}

function ignore(): void {}
