// Writes the tables of settings into docs/configuration.md, from the same table that the server reads its settings
// with. `--check` writes nothing and exits 1 when that page says something else.
import { fromSources } from "./fromSources.mjs"
import { section } from "./section.mjs"

const { settingsTable } = await fromSources("src/config/ServerConfig.ts")
section("docs/configuration.md", "settings", settingsTable())
