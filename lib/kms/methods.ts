import type { Operation } from "../operation.ts";
import { administration, iam, operations } from "../operations.ts";
import type { Input, Output } from "../shape.ts";

/** What every answer has besides its own members, as the AWS SDK's have. */
export interface ResponseMetadata {
  httpStatusCode: number;
  requestId: string;
  attempts: number;
  totalRetryDelay: number;
}

type InputOf<Row> = Row extends Operation<string, infer I, infer _> ? Input<I> : never;
type OutputOf<Row> = Row extends Operation<string, infer _, infer O> ? Output<O> : never;
type Answer<Row> = Promise<OutputOf<Row> & { $metadata: ResponseMetadata }>;

/** One method an operation, named as the aggregated client of the AWS SDK names it. */
type MethodsOf<Rows> = {
  [Name in keyof Rows & string as Uncapitalize<Name>]: Record<never, never> extends InputOf<Rows[Name]>
    ? (input?: InputOf<Rows[Name]>) => Answer<Rows[Name]>
    : (input: InputOf<Rows[Name]>) => Answer<Rows[Name]>;
};

export type Methods = MethodsOf<typeof operations & typeof administration>;
/** For users, roles, their policies and sessions, and for the service control policies of accounts. */
export type IamMethods = MethodsOf<typeof iam>;

/** An object with a method for each operation, all of which go through `request`. */
abstract class OperationMethods {
  abstract request(operation: string, input: object): Promise<object>;
}

/** The same, through the `request` of another. */
class DelegatingMethods {
  readonly request: OperationMethods["request"];

  constructor(to: OperationMethods) {
    this.request = (operation, input) => to.request(operation, input);
  }
}

function define(prototype: OperationMethods, rows: object): void {
  for (const name of Object.keys(rows)) {
    const method = name[0]?.toLowerCase() + name.slice(1);
    Object.defineProperty(prototype, method, {
      configurable: true,
      writable: true,
      value(this: OperationMethods, input: object = {}) {
        return this.request(name, input);
      },
    });
  }
}

define(OperationMethods.prototype, { ...operations, ...administration });
define(DelegatingMethods.prototype, iam);

export const WithMethods = OperationMethods as unknown as abstract new () => OperationMethods & Methods;
export const Iam = DelegatingMethods as unknown as new (
  to: OperationMethods,
) => DelegatingMethods & IamMethods;
