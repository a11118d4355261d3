/**
 * What the sample data is drawn from: names, places and goods, and SQL that picks among them, always the
 * same for the same row.
 *
 * @since 0.1.0
 */
import { literal } from "../../sql/Identifier.js"

/** `n` of 0 .. n-1, the same for the same row and salt. */
export const pick = (row: string, salt: number, n: number): string => `(hash(${row}, ${salt}) % ${n})::BIGINT`
/** A fraction of 0 .. 1 in steps of a millionth. */
export const fraction = (row: string, salt: number): string =>
  `((hash(${row}, ${salt}) % 1000000) / 1000000.0)`
export const oneOf = (row: string, salt: number, values: ReadonlyArray<string>): string =>
  `([${values.map(literal).join(",")}])[1 + ${pick(row, salt, values.length)}]`

export const customers = 5000
export const orders = 20_000
/** Customers who signed up before the first order. */
export const founders = 2000
export const start = "1735689600000000" // 2025-01-01 in microseconds
export const span = "47088000000000" // 545 days in microseconds: to 2026-06-30

export const firstNames =
  "Ada,Amara,Anna,Arjun,Ben,Camille,Carlos,Chen,Clara,Daniel,David,Elena,Emil,Emma,Fatima,Felix,Grace,Hana,Henry,Ingrid,Isabel,Jack,Jonas,Julia,Kofi,Lars,Laura,Leo,Lina,Louis,Lucia,Marco,Maria,Mateo,Maya,Mei,Mila,Nadia,Noah,Nora,Olivia,Omar,Oscar,Paula,Priya,Rosa,Samuel,Sara,Sofia,Tom,Yuki,Zoe".split(
    ","
  )
export const lastNames =
  "Abe,Andersen,Bauer,Becker,Bennett,Berg,Brown,Carter,Costa,Dubois,Evans,Fischer,Garcia,Greco,Hansen,Hayes,Hoffmann,Ito,Jansen,Johnson,Keller,Khan,Kim,Kowalski,Larsen,Lee,Lopez,Martin,Meyer,Miller,Moreau,Murphy,Nguyen,Novak,Okafor,Olsen,Patel,Perez,Petit,Reyes,Ricci,Rossi,Santos,Schmidt,Silva,Singh,Smith,Suzuki,Taylor,Walker,Weber,Wilson".split(
    ","
  )

/** Country and city; a place is on the list as often as it takes to look like a shop's customers. */
export const places: ReadonlyArray<readonly [string, string]> = [
  ["United States", "Denver"],
  ["United States", "Denver"],
  ["United States", "Seattle"],
  ["United States", "Seattle"],
  ["United States", "Boston"],
  ["Canada", "Vancouver"],
  ["Germany", "Berlin"],
  ["Germany", "Munich"],
  ["Germany", "Hamburg"],
  ["United Kingdom", "London"],
  ["United Kingdom", "Leeds"],
  ["France", "Paris"],
  ["France", "Lyon"],
  ["Spain", "Madrid"],
  ["Italy", "Turin"],
  ["Norway", "Oslo"],
  ["Switzerland", "Zurich"],
  ["Netherlands", "Utrecht"],
  ["Japan", "Sapporo"]
]
export const place = (part: 0 | 1): string =>
  oneOf(
    "c",
    13,
    places.map((entry) => entry[part])
  )

export const lines = [
  "Summit",
  "Ridge",
  "Fjord",
  "Glacier",
  "Canyon",
  "Pine",
  "Granite",
  "Aurora",
  "Boulder",
  "Tundra"
]
/** Noun, category, base price, weight in kilograms. */
export const goods: ReadonlyArray<readonly [string, string, number, number]> = [
  ["Tent", "Camping", 249, 2.4],
  ["Sleeping Bag", "Camping", 139, 1.1],
  ["Camp Stove", "Camping", 69, 0.4],
  ["Backpack", "Packs", 119, 1.3],
  ["Daypack", "Packs", 59, 0.6],
  ["Rain Jacket", "Apparel", 149, 0.4],
  ["Fleece", "Apparel", 79, 0.35],
  ["Merino Socks", "Apparel", 18, 0.08],
  ["Hiking Boots", "Footwear", 169, 1.2],
  ["Trail Shoes", "Footwear", 109, 0.7],
  ["Headlamp", "Accessories", 39, 0.09],
  ["Water Bottle", "Accessories", 24, 0.2]
]
export const good = (part: 0 | 1 | 2 | 3): string =>
  `([${goods.map((entry) => (typeof entry[part] === "string" ? `'${entry[part]}'` : `${entry[part]}::DOUBLE`)).join(",")}])[1 + (p - 1) % ${goods.length}]`

/** Order `o` was placed at this many microseconds; later orders come faster than early ones. */
export const orderedAt = `((${start} + (${span} * pow((o - 1) / ${orders}.0, 0.8))::BIGINT) // 1000000 * 1000000)`
/** Only customers who had signed up by then; a few of them order often. */
export const orderCustomer = `(1 + floor((${founders} + ${customers - founders} * pow((o - 1) / ${orders}.0, 0.8)) * pow(${fraction("o", 31)}, 1.6)))::BIGINT`
