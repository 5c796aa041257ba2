/**
 * Shapes: what the members of a request and of an answer may be, as constant data in the terms of the AWS model.
 * From one shape come the TypeScript types ({@link Input}, {@link Valid}, {@link Output}), the validation with
 * AWS's texts ({@link validate}) and the comparison with the model (a test).
 */
export type Shape =
  | StringShape
  | IntegerShape
  | BooleanShape
  | TimestampShape
  | BlobShape
  | ListShape
  | MapShape
  | StructureShape;

interface Size {
  readonly min?: number;
  readonly max?: number;
}

export interface StringShape<E extends string = string> extends Size {
  readonly type: "string";
  readonly pattern?: string;
  readonly enum?: readonly E[];
  readonly sensitive?: boolean;
}
export interface IntegerShape extends Size {
  readonly type: "integer";
}
export interface BooleanShape {
  readonly type: "boolean";
}
export interface TimestampShape {
  readonly type: "timestamp";
}
export interface BlobShape extends Size {
  readonly type: "blob";
  readonly sensitive?: boolean;
}
export interface ListShape<M extends Shape = Shape> extends Size {
  readonly type: "list";
  readonly member: M;
}
export interface MapShape<V extends Shape = Shape> {
  readonly type: "map";
  readonly key: StringShape;
  readonly value: V;
}
export interface StructureShape<
  M extends Readonly<Record<string, Shape>> = Readonly<Record<string, Shape>>,
  R extends string = string,
> {
  readonly type: "structure";
  readonly members: M;
  readonly required: readonly R[];
}

export const string = <const E extends string = string>(rule: Omit<StringShape<E>, "type"> = {}) =>
  ({ type: "string", ...rule }) as StringShape<E>;
export const integer = (rule: Size = {}): IntegerShape => ({ type: "integer", ...rule });
export const boolean: BooleanShape = { type: "boolean" };
export const timestamp: TimestampShape = { type: "timestamp" };
export const blob = (rule: Omit<BlobShape, "type"> = {}): BlobShape => ({ type: "blob", ...rule });
export const list = <M extends Shape>(member: M, rule: Size = {}): ListShape<M> => ({
  type: "list",
  member,
  ...rule,
});
export const map = <V extends Shape>(key: StringShape, value: V): MapShape<V> => ({
  type: "map",
  key,
  value,
});
/** `required` names the members that must be there. */
export const structure = <
  const M extends Readonly<Record<string, Shape>>,
  const R extends keyof M & string = never,
>(
  members: M,
  required: readonly R[] = [],
): StructureShape<M, R> => ({ type: "structure", members, required });

/** Flattens an intersection, so that editors show members rather than machinery. */
type Plain<T> = { [K in keyof T]: T[K] } & {};

/**
 * What a caller may give: required members may be `undefined` in the type, as in the AWS SDK's, and are then
 * refused by {@link validate}.
 */
export type Input<S> =
  S extends StringShape<infer E>
    ? E
    : S extends ListShape<infer M>
      ? readonly Input<M>[]
      : S extends MapShape<infer V>
        ? { readonly [key: string]: Input<V> }
        : S extends StructureShape<infer M, infer R>
          ? Plain<
              { [K in keyof M & R]: Input<M[K]> | undefined } & {
                [K in Exclude<keyof M, R>]?: Input<M[K]> | undefined;
              }
            >
          : Scalar<S>;

/** What {@link validate} has let through. */
export type Valid<S> =
  S extends StringShape<infer E>
    ? E
    : S extends ListShape<infer M>
      ? readonly Valid<M>[]
      : S extends MapShape<infer V>
        ? { readonly [key: string]: Valid<V> }
        : S extends StructureShape<infer M, infer R>
          ? Plain<
              { readonly [K in keyof M & R]: Valid<M[K]> } & {
                readonly [K in Exclude<keyof M, R>]?: Valid<M[K]> | undefined;
              }
            >
          : Scalar<S>;

/** What an operation answers; the arrays are the receiver's. */
export type Output<S> =
  S extends StringShape<infer E>
    ? E
    : S extends ListShape<infer M>
      ? Output<M>[]
      : S extends MapShape<infer V>
        ? { [key: string]: Output<V> }
        : S extends StructureShape<infer M, infer R>
          ? Plain<
              { [K in keyof M & R]: Output<M[K]> } & {
                [K in Exclude<keyof M, R>]?: Output<M[K]> | undefined;
              }
            >
          : Scalar<S>;

type Scalar<S> = S extends IntegerShape
  ? number
  : S extends BooleanShape
    ? boolean
    : S extends TimestampShape
      ? Date
      : S extends BlobShape
        ? Uint8Array
        : never;

export { validate } from "./shape/validate.ts";
