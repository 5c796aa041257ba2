import type { Soon } from "../store.ts";

/** Goes on at once where the store could answer at once. (A module that exported `then` would be taken for a promise.) */
export function andThen<T, R>(soon: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return soon instanceof Promise ? soon.then(next) : next(soon);
}
