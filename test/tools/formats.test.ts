import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { csv, markdown } from "../../src/tools/formats.js"

/** A reader of RFC 4180 that tells a quoted field from a bare one. */
const parse = (text: string): ReadonlyArray<ReadonlyArray<string | null>> => {
  const records: Array<Array<string | null>> = []
  let at = 0
  while (at < text.length) {
    const record: Array<string | null> = []
    for (;;) {
      if (text[at] === '"') {
        let value = ""
        for (at++; !(text[at] === '"' && text[at + 1] !== '"'); at++) {
          if (text[at] === '"') at++
          value += text[at]
        }
        at++
        record.push(value)
      } else {
        const end = at + text.slice(at).search(/,|\r\n/)
        record.push(end === at ? null : text.slice(at, end))
        at = end
      }
      if (text[at] !== ",") break
      at++
    }
    at += 2
    records.push(record)
  }
  return records
}

describe("CSV", () => {
  it("quotes where it must, ends each record with CRLF, and tells NULL from an empty text", () => {
    expect(
      csv(
        ["A", 'B "x"'],
        [
          [1, "1.50"],
          [null, ""],
          [true, "a,b"],
          ["=1+1", 'say "hi"\nthere'],
          [{ k: [1, null] }, " x"]
        ]
      )
    ).toBe(
      'A,"B ""x"""\r\n1,1.50\r\n,""\r\ntrue,"a,b"\r\n=1+1,"say ""hi""\nthere"\r\n"{""k"":[1,null]}"," x"\r\n'
    )
  })

  const cell = fc.oneof(
    fc.constant(null),
    fc.string(),
    fc
      .array(fc.constantFrom("a", ",", '"', "\r", "\n", " ", "é"), { maxLength: 6 })
      .map((all) => all.join(""))
  )
  it.prop(
    "gives back every text and every NULL",
    [fc.array(fc.tuple(cell, cell), { maxLength: 5 })],
    ([rows]) => {
      expect(parse(csv(["A", "B"], rows)).slice(1)).toEqual(rows)
    }
  )
})

describe("Markdown", () => {
  it("is one line a row, whatever the values hold", () => {
    expect(
      markdown(
        ["A|B", "C"],
        [
          ["x|y\\", "1\r\n2\n<b>"],
          [null, 3],
          ["", false]
        ]
      )
    ).toBe("| A\\|B | C |\n| --- | --- |\n| x\\|y\\\\ | 1<br>2<br>&lt;b> |\n| NULL | 3 |\n|  | false |\n")
  })
})
