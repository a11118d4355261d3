interface Started {
  readonly issuer: string
  readonly comeBack: (url: string, user: string) => Promise<string>
  readonly signIn: (
    user: string,
    options?: { readonly scope?: string; readonly wanted?: string; readonly seconds?: number }
  ) => Promise<string>
  readonly given: () => ReadonlyArray<string>
  readonly ahead: (ms: number) => void
  readonly revoke: (token: string) => void
  readonly userOf: (
    token: string
  ) => Promise<{ readonly user: string; readonly role: string; readonly endsAt: number } | undefined>
  readonly stop: () => Promise<void>
}
export declare const start: (options: {
  readonly account: () => string
  readonly resource: string
  readonly roles: { readonly [user: string]: ReadonlyArray<string> }
  readonly ttlSeconds?: number
  /** The public key of a client that authenticates by `private_key_jwt`. */
  readonly clientKey?: object | undefined
}) => Promise<Started>
