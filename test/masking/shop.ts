/**
 * A shop whose tables hold canaries in the columns that are masked: values that are nowhere else, so that each place
 * where one of them, or what is made of it, can be seen is a leak.
 */
import { DuckDBInstance } from "@duckdb/node-api"
import { createHash } from "node:crypto"
import { join } from "node:path"
import type { SemanticView } from "../../src/emulator/semantic.js"

export const masks = {
  "SHOP.PUBLIC.CUSTOMERS.EMAIL": "token",
  "SHOP.PUBLIC.LEADS.EMAIL": "token",
  "SHOP.PUBLIC.ORDERS.CUSTOMER_EMAIL": "token",
  "SHOP.PUBLIC.ACCOUNTS.EMAIL": "token",
  "SHOP.PUBLIC.ACCOUNTS.DOUBLED": "null",
  "*.PUBLIC.*.PHONE": "hidden",
  "*.*.CUSTOMERS.NAME": "hidden",
  "*.*.*.BIRTH": "null",
  "SHOP.PUBLIC.CUSTOMERS.NOTES": "null",
  "*.HR.*.SALARY": "null",
  "*.HR.*.IBAN": "token"
} as const

const member = { table: "CUSTOMERS", type: "VARCHAR(100)" } as const

/** What the emulator has of semantic views: it asks for a masked column under another name. */
export const semantic: SemanticView = {
  database: "SHOP",
  schema: "PUBLIC",
  name: "S_PEOPLE",
  comment: "",
  tables: [{ name: "CUSTOMERS", base: ["SHOP", "PUBLIC", "CUSTOMERS"], primaryKey: ["ID"], comment: "" }],
  relationships: [],
  members: [
    { ...member, kind: "DIMENSION", name: "CONTACT", expression: "customers.email" },
    { ...member, kind: "METRIC", name: "N", expression: "COUNT(customers.id)" },
    { ...member, kind: "METRIC", name: "LAST_ONE", expression: "MAX(customers.email)" }
  ],
  verifiedQueries: []
}

export interface Person {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly phone: string
  readonly birth: string
  readonly note: string
  readonly country: string
  readonly spend: number
}

const countries = ["DE", "FR", "US", "JP"]

/** `world` makes other values of all masked columns, and the same of all others. */
export const people = (world: number): ReadonlyArray<Person> =>
  Array.from({ length: 24 }, (_, at) => ({
    id: at + 1,
    name: `Zyxname${world}q${String.fromCharCode(97 + ((at * 7) % 26))}${at}`,
    email: `canary${world}x${(at * 7919) % 997}w@vault${at % 3}.example`,
    phone: `+99${world}77${1000003 * (at + 3)}`,
    birth: `${2301 + world * 40 + at}-0${(at % 9) + 1}-1${at % 9}`,
    note: `secretnote${world}n${at}`,
    country: countries[at % 4]!,
    spend: 10 * (at + 1) + 0.5
  }))

export const staff = (world: number) =>
  Array.from({ length: 12 }, (_, at) => ({
    id: at + 1,
    team: ["OPS", "DEV", "FIN"][at % 3]!,
    boss: at === 0 ? null : Math.ceil(at / 2),
    salary: 83710000 + world * 500_000 + at * 911,
    iban: `ZZ${world}9IBANCANARY${at * 31 + 11}`
  }))

/** A DuckDB file; the database is called SHOP. */
export const created = async (folder: string, statements: ReadonlyArray<string>): Promise<string> => {
  const path = join(folder, "shop.duckdb")
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  for (const sql of statements) await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
  return path
}

/** A file with the shop. */
export const create = (folder: string, world = 1): Promise<string> => {
  const text = (value: string | number | null) =>
    value === null ? "NULL" : typeof value === "number" ? String(value) : `'${value}'`
  const rows = (values: ReadonlyArray<ReadonlyArray<string | number | null>>) =>
    values.map((row) => `(${row.map(text).join(", ")})`).join(", ")
  const all = people(world)
  return created(folder, [
    `CREATE TABLE CUSTOMERS (ID BIGINT PRIMARY KEY, NAME VARCHAR, EMAIL VARCHAR, PHONE VARCHAR, COUNTRY VARCHAR,
       BIRTH DATE, NOTES JSON, SPEND DECIMAL(10,2))`,
    `INSERT INTO CUSTOMERS VALUES ${rows(
      all.map(({ birth, country, email, id, name, note, phone, spend }) => [
        id,
        name,
        email,
        phone,
        country,
        birth,
        JSON.stringify({ a: note, tags: [note, `${note}z`] }),
        spend
      ])
    )}`,
    `CREATE TABLE LEADS (ID BIGINT, EMAIL VARCHAR, SOURCE VARCHAR, SCORE BIGINT)`,
    `INSERT INTO LEADS VALUES ${rows(
      all.slice(0, 10).map(({ email }, at) => [at + 1, email, at % 2 === 0 ? "WEB" : "FAIR", at * 10])
    )}, (11, NULL, 'WEB', 5), (12, NULL, 'FAIR', 7)`,
    `CREATE TABLE ORDERS (ID BIGINT, CUSTOMER_ID BIGINT, CUSTOMER_EMAIL VARCHAR, AMOUNT DECIMAL(10,2), ORDERED DATE,
       STATUS VARCHAR)`,
    `INSERT INTO ORDERS VALUES ${rows(
      Array.from({ length: 60 }, (_, at) => {
        const person = all[(at * 5) % all.length]!
        return [
          at + 1,
          person.id,
          person.email,
          at * 3 + 1,
          `2025-0${(at % 9) + 1}-1${at % 10}`,
          at % 4 === 0 ? "OPEN" : "DONE"
        ]
      })
    )}`,
    `CREATE TABLE PRODUCTS (ID BIGINT, NAME VARCHAR, PRICE DECIMAL(10,2))`,
    `INSERT INTO PRODUCTS VALUES (1, 'Tent', 99.5), (2, 'Pack', 49), (3, 'Boots', 120)`,
    `CREATE TABLE ACCOUNTS (ID BIGINT, EMAIL VARCHAR, "e lower" VARCHAR GENERATED ALWAYS AS (lower(EMAIL)),
       DOMAIN VARCHAR GENERATED ALWAYS AS (split_part("e lower", '@', 2)), SECRET BIGINT, DOUBLED BIGINT GENERATED ALWAYS AS
       (2 * SECRET), TWICE BIGINT GENERATED ALWAYS AS (2 * ID), "PHONE" VARCHAR DEFAULT 'EMAIL')`,
    `INSERT INTO ACCOUNTS (ID, EMAIL, SECRET, PHONE) VALUES ${rows(
      all.map(({ email, id, phone }) => [id, email, 77_000_000 + id, phone])
    )}`,
    `CREATE SCHEMA HR`,
    `CREATE TABLE HR.STAFF (ID BIGINT, TEAM VARCHAR, BOSS BIGINT, SALARY BIGINT, IBAN VARCHAR)`,
    `INSERT INTO HR.STAFF VALUES ${rows(
      staff(world).map(({ boss, iban, id, salary, team }) => [id, team, boss, salary, iban])
    )}`,
    `CREATE VIEW V_CUSTOMERS AS SELECT ID, EMAIL AS CONTACT, NAME AS WHO FROM CUSTOMERS`,
    `CREATE VIEW V_COUNTRIES AS SELECT COUNTRY, COUNT(*) AS N FROM CUSTOMERS GROUP BY COUNTRY`,
    `CREATE VIEW V_LISTED AS SELECT ID, EMAIL AS CONTACT, COUNTRY FROM CUSTOMERS`,
    `CREATE VIEW V_BROKEN AS SELECT ID, CAST(EMAIL AS BIGINT) AS N FROM CUSTOMERS`,
    // Over tables without masks.
    `CREATE VIEW V_PRODUCTS AS SELECT ID, NAME AS LABEL, PRICE FROM PRODUCTS`,
    `CREATE VIEW V_DEAR AS SELECT LABEL, PRICE FROM V_PRODUCTS WHERE PRICE > 60`,
    `CREATE VIEW V_COUNTED AS SELECT COUNT(*) AS N, SUM(PRICE) AS TOTAL FROM V_DEAR`,
    `CREATE VIEW V_BOTH AS SELECT ID, LABEL FROM V_PRODUCTS UNION ALL SELECT ID, NAME FROM PRODUCTS`,
    `CREATE VIEW V_STEPS AS WITH S AS (SELECT ID, PRICE FROM PRODUCTS), R AS (SELECT MAX(PRICE) AS P FROM S) SELECT S.ID FROM
       S, R WHERE S.PRICE = R.P`,
    `CREATE VIEW V_BESIDE AS SELECT p.ID, l.L FROM PRODUCTS p, LATERAL (SELECT p.NAME AS L) l`,
    `CREATE VIEW "v lower" AS SELECT "PRICE" AS "p x" FROM "PRODUCTS"`,
    `CREATE VIEW "V_Mixed" AS SELECT "PRICE" AS "P X" FROM "products" AS "p"`,
    `CREATE VIEW V_CATALOG AS SELECT COUNT(*) AS N FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = 'PRODUCTS'`,
    // The same names with other tables behind them, in another schema.
    `CREATE TABLE HR.PRODUCTS (ID BIGINT, NAME VARCHAR)`,
    `INSERT INTO HR.PRODUCTS VALUES (1, 'Desk')`,
    `CREATE VIEW HR.V_PRODUCTS AS SELECT NAME FROM PRODUCTS`,
    `CREATE VIEW HR.V_LOCAL AS SELECT * FROM V_PRODUCTS`,
    `CREATE VIEW HR.V_CUSTOMERS AS SELECT EMAIL AS CONTACT FROM CUSTOMERS`,
    `CREATE VIEW HR.V_TEAMS AS SELECT TEAM, COUNT(*) AS N FROM STAFF GROUP BY TEAM`,
    `CREATE VIEW V_PAY AS SELECT MAX(SALARY) AS PAY, MAX(IBAN) AS ACCOUNT FROM HR.STAFF`,
    // Over tables with masks, in all forms.
    `CREATE VIEW V_UPON AS SELECT CONTACT AS C, WHO AS W FROM V_CUSTOMERS`,
    `CREATE VIEW V_UPON_UPON AS SELECT C FROM main.V_UPON`,
    `CREATE VIEW V_UPON_LISTED AS SELECT CONTACT AS C FROM V_LISTED`,
    `CREATE VIEW V_UNION AS SELECT NAME AS C FROM PRODUCTS UNION ALL SELECT EMAIL FROM LEADS`,
    `CREATE VIEW V_SHADOW AS WITH PRODUCTS AS (SELECT EMAIL AS C FROM CUSTOMERS) SELECT C FROM PRODUCTS`,
    `CREATE VIEW V_SHADOWED AS SELECT C FROM (WITH CUSTOMERS AS (SELECT 1 AS C) SELECT C FROM CUSTOMERS) q
       UNION ALL SELECT EMAIL FROM CUSTOMERS`,
    `CREATE VIEW V_INNER AS SELECT p.ID, l.C FROM PRODUCTS p, LATERAL (SELECT EMAIL AS C FROM CUSTOMERS c WHERE c.ID = p.ID) l`,
    `CREATE VIEW V_SCALAR AS SELECT ID, (SELECT MAX(EMAIL) FROM CUSTOMERS) AS C FROM PRODUCTS`,
    `CREATE VIEW V_EXISTS AS SELECT ID FROM PRODUCTS WHERE EXISTS (SELECT 1 FROM CUSTOMERS WHERE EMAIL LIKE 'c%')`,
    `CREATE VIEW "v Quoted" AS SELECT "EMAIL" AS "c C" FROM "CUSTOMERS"`,
    `CREATE VIEW V_WHOLE AS SELECT * FROM CUSTOMERS`,
    `CREATE VIEW V_WILD AS SELECT PHONE AS C FROM CUSTOMERS`,
    `CREATE VIEW V_NAMED AS SELECT EMAIL AS PHONE FROM CUSTOMERS`,
    `CREATE VIEW V_PIVOT AS SELECT * FROM (PIVOT LEADS ON SOURCE IN ('WEB', 'FAIR') USING MAX(EMAIL))`,
    `CREATE VIEW V_FROM AS FROM CUSTOMERS`,
    `CREATE VIEW V_TEXT AS SELECT '\' AS A, EMAIL AS C FROM CUSTOMERS WHERE ' FROM PRODUCTS' <> '--'`,
    `CREATE VIEW V_VALUES AS SELECT * FROM (VALUES ((SELECT MAX(EMAIL) FROM CUSTOMERS))) v (C)`
  ])
}

const hash = (algorithm: string, text: string) => createHash(algorithm).update(text).digest("hex")

/** What a canary looks like in an answer: as it is, in parts, reversed, in other encodings, as a digest. */
export const needles = (world: number): ReadonlyArray<string> => {
  const values = [
    ...people(world).flatMap(({ email, name, note, phone }) => [email, name, note, phone]),
    ...staff(world).flatMap(({ iban, salary }) => [iban, String(salary)]),
    ...people(world).map(({ birth }) => birth)
  ]
  const found = new Set<string>()
  for (const value of values) {
    const bytes = Buffer.from(value)
    const wide = value.length > 9
    found.add(value)
    found.add([...value].reverse().join(""))
    found.add(bytes.toString("hex"))
    if (wide) {
      // A third of a value is one in any of its alignments, too.
      for (const shift of [0, 1, 2]) {
        const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64")
        found.add(text.slice(shift === 0 ? 0 : 4, Math.floor(((shift + bytes.length) * 4) / 3) - 2))
      }
    }
    for (const algorithm of ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]) {
      found.add(hash(algorithm, value).slice(0, 20))
      found.add(hash(algorithm, value.toUpperCase()).slice(0, 20))
    }
  }
  // What all values of a column have in common.
  for (const stem of ["canary", "vault", "zyxname", "secretnote", "ibancanary", `+99${world}77`]) {
    found.add(stem)
    found.add(Buffer.from(stem).toString("hex"))
    found.add(Buffer.from(stem.toUpperCase()).toString("hex"))
    found.add([...stem].reverse().join(""))
  }
  return [...found].map((needle) => needle.toLowerCase())
}

/** The canaries that stand in what a client was sent. */
export const leaks = (bytes: string, among: ReadonlyArray<string>): ReadonlyArray<string> => {
  const text = bytes.toLowerCase()
  return among.filter((needle) => text.includes(needle))
}
