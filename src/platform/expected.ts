import * as Cause from "effect/Cause"
import * as Option from "effect/Option"

/** An expected error to decide about, unless something unexpected happened beside it. */
export const expected = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  cause._tag === "Fail"
    ? Option.some(cause.error)
    : Cause.isDie(cause)
      ? Option.none()
      : Cause.failureOption(cause)
