/** Name and version as the protocol announces them; a test holds them equal to package.json. */
export const name = "snowguard"
export const version = "0.1.0"
