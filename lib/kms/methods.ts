import type { Operation } from "../operation.ts";
import { administration, operations } from "../operations.ts";
import type { Input, Output } from "../shape.ts";

/** What every answer has besides its own members, as the AWS SDK's have. */
export interface ResponseMetadata {
  httpStatusCode: number;
  requestId: string;
  attempts: number;
  totalRetryDelay: number;
}

type Rows = typeof operations & typeof administration;
type InputOf<Row> = Row extends Operation<string, infer I, infer _> ? Input<I> : never;
type OutputOf<Row> = Row extends Operation<string, infer _, infer O> ? Output<O> : never;
type Answer<Row> = Promise<OutputOf<Row> & { $metadata: ResponseMetadata }>;

/** One method an operation, named as the aggregated client of the AWS SDK names it. */
export type Methods = {
  [Name in keyof Rows as Uncapitalize<Name>]: Record<never, never> extends InputOf<Rows[Name]>
    ? (input?: InputOf<Rows[Name]>) => Answer<Rows[Name]>
    : (input: InputOf<Rows[Name]>) => Answer<Rows[Name]>;
};

/** An object with a method for each operation, all of which go through `request`. */
abstract class OperationMethods {
  abstract request(operation: string, input: object): Promise<object>;
}

for (const name of Object.keys({ ...operations, ...administration })) {
  const method = name[0]?.toLowerCase() + name.slice(1);
  Object.defineProperty(OperationMethods.prototype, method, {
    configurable: true,
    writable: true,
    value(this: OperationMethods, input: object = {}) {
      return this.request(name, input);
    },
  });
}

export const WithMethods = OperationMethods as unknown as abstract new () => OperationMethods & Methods;
