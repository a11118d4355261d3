import { afterEach } from "vitest"

/**
 * Lets the worker hear the runner after each test. The synchronous tests of one file (a simulation is one) can take
 * more than a minute together, and without a turn of the event loop the runner gives the worker up.
 */
afterEach(() => new Promise<void>((resolve) => void setImmediate(resolve)))
