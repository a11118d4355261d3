/**
 * Expressions in Snowflake's SQL with the values that Snowflake documents for them, by family of functions:
 * on literals, on columns, nested, and on NULL.
 */
import { isDeepStrictEqual } from "node:util"
import { expect } from "@effect/vitest"
import { Chunk, Effect, Either, Stream } from "effect"
import * as DuckDb from "../../../src/warehouse/DuckDb.js"
import type { Cell } from "../../../src/warehouse/Warehouse.js"
import { Warehouse } from "../../../src/warehouse/Warehouse.js"
import { withLayer } from "../../utils/withLayer.js"

type Table = ReadonlyArray<readonly [expression: string, value: Cell]>

interface Family {
  /** What the columns in the expressions are of. */
  readonly from?: string
  readonly table: Table
}

const families: Readonly<Record<string, Family>> = {
  "string literals": {
    table: [
      ["LENGTH('\\n')", 1],
      ["LENGTH('\\t\\t')", 2],
      ["'it\\'s'", "it's"],
      ["'it''s'", "it's"],
      ["'a\\\\b'", "a\\b"],
      ["LENGTH('\\\\')", 1],
      ["'\\u00e9'", "é"],
      ["'\\x41'", "A"],
      ["$$a\\b$$", "a\\b"],
      ["X'4A4B'", "4A4B"],
      ["LENGTH(X'4A4B4C')", 3],
      ["X'4A' = X'4A'", true],
      ["'a' || 1", "a1"],
      ["1 || 2", "12"],
      ["'a' || NULL", null],
      ["'x' || TRUE", "xtrue"],
      ["'a' || 1.50", "a1.50"]
    ]
  },
  "numbers and their scales": {
    table: [
      ["1 / 4", "0.250000"],
      ["2 / 3", "0.666667"],
      ["-2 / 3", "-0.666667"],
      ["10 / 4", "2.500000"],
      ["7.5 / 2", "3.7500000"],
      ["1.25 / 3", "0.41666667"],
      ["1::FLOAT / 4", 0.25],
      ["5 % 3", 2],
      ["-5 % 3", -2],
      ["MOD(5.5, 2)", "1.5"],
      ["MOD(10, 4)", 2],
      ["3 * 1.5", "4.5"],
      ["1.10 + 2", "3.10"],
      ["2.5 - 0.25", "2.25"],
      ["100000 * 100000", 10000000000],
      ["DIV0(7, 2)", "3.500000"],
      ["DIV0(7, 0)", "0.000000"],
      ["DIV0(NULL, 2)", null],
      ["DIV0NULL(7, NULL)", "0.000000"],
      ["ROUND(2.5)", 3],
      ["ROUND(-2.5)", -3],
      ["ROUND(1.2345, 2)", "1.23"],
      ["ROUND(1250, -2)", 1300],
      ["ROUND(3.5, 0, 'HALF_TO_EVEN')", 4],
      ["ROUND(4.5, 0, 'HALF_TO_EVEN')", 4],
      ["ROUND(NULL)", null],
      ["CEIL(1.1)", 2],
      ["CEIL(-1.1)", -1],
      ["CEIL(3.14159, 3)", "3.142"],
      ["FLOOR(1.9)", 1],
      ["FLOOR(-1.1)", -2],
      ["FLOOR(3.14159, 3)", "3.141"],
      ["TRUNC(3.789, 1)", "3.7"],
      ["TRUNC(-3.789)", -3],
      ["TRUNCATE(12.99)", 12],
      ["ABS(-4)", 4],
      ["ABS(-4.5)", "4.5"],
      ["SIGN(-3)", -1],
      ["SIGN(0)", 0],
      ["SQRT(16)", 4],
      ["SQUARE(4)", 16],
      ["POWER(2, 10)", 1024],
      ["EXP(0)", 1],
      ["LN(1)", 0],
      ["LOG(2, 8)", 3],
      ["LOG(10, 1000)", 3],
      ["FACTORIAL(5)", 120],
      ["WIDTH_BUCKET(7, 0, 10, 5)", 4],
      ["GREATEST(3, 7, 5)", 7],
      ["LEAST(3, 7, 5)", 3],
      ["GREATEST(1, NULL)", null],
      ["LEAST(NULL, 1)", null],
      ["GREATEST_IGNORE_NULLS(1, NULL, 3)", 3],
      ["BITAND(12, 10)", 8],
      ["BITOR(12, 10)", 14],
      ["BITXOR(12, 10)", 6],
      ["BITSHIFTLEFT(1, 4)", 16],
      ["BITSHIFTRIGHT(16, 2)", 4],
      ["ZEROIFNULL(NULL)", 0],
      ["ZEROIFNULL(4)", 4],
      ["NULLIFZERO(0)", null],
      ["NULLIFZERO(6)", 6]
    ]
  },
  "numbers in columns": {
    from: "(SELECT column1 AS a, column2 AS b, column3 AS n FROM VALUES (10, 4, NULL))",
    table: [
      ["a / b", "2.500000"],
      ["a / 3", "3.333333"],
      ["(a + b) / 3", "4.666667"],
      ["a / b / 2", "1.250000000000"],
      ["a / 3 / 3 / 3", "0.370370333333"],
      ["9223372036854775807 / 2", "4611686018427387903.500000"],
      ["123456789.12 / 7", "17636684.16000000"],
      ["1e20::FLOAT / 3", 33333333333333332000],
      ["a % b", 2],
      ["a * b / 3", "13.333333"],
      ["ROUND(a / 3, 2)", "3.33"],
      ["a / NULLIF(b - 4, 0)", null],
      ["n + 1", null],
      ["n / 2", null],
      ["a / n", null],
      ["COALESCE(n, a)", 10],
      ["NVL(n, 7)", 7],
      ["a::FLOAT / b", 2.5],
      ["a::NUMBER(10, 2) / 3", "3.33333333"],
      ["a::VARCHAR || '-' || b", "10-4"]
    ]
  },
  conversions: {
    table: [
      ["'12.5'::NUMBER", 13],
      ["'12.5'::NUMBER(5, 1)", "12.5"],
      ["' 7 '::INT", 7],
      ["1.5::INT", 2],
      ["-1.5::INT", -2],
      ["TRUE::INT", 1],
      ["TO_NUMBER('123')", 123],
      ["TO_NUMBER('1,234.5', '9,999.9', 6, 1)", "1234.5"],
      ["TO_NUMBER('$12.34', '$99.99', 6, 2)", "12.34"],
      ["TO_DECIMAL('12.345', 5, 2)", "12.35"],
      ["TRY_TO_NUMBER('12x')", null],
      ["TRY_TO_NUMBER('12')", 12],
      ["TRY_TO_DECIMAL('999.99', 4, 2)", null],
      ["TRY_TO_NUMERIC('5.5', 5, 1)", "5.5"],
      ["TO_DOUBLE('1.5e2')", 150],
      ["TRY_TO_DOUBLE('abc')", null],
      ["TO_BOOLEAN('yes')", true],
      ["TO_BOOLEAN('off')", false],
      ["TO_BOOLEAN(0)", false],
      ["TO_BOOLEAN(3)", true],
      ["TRY_TO_BOOLEAN('maybe')", null],
      ["'t'::BOOLEAN", true],
      ["TRY_CAST('x' AS NUMBER)", null],
      ["TRY_CAST('5' AS NUMBER)", 5],
      ["TRY_CAST('ABCDE' AS CHAR(3))", null],
      ["TRY_CAST('AB' AS VARCHAR(3))", "AB"],
      ["TRY_CAST('2024-02-30' AS DATE)", null],
      ["CAST('2024-02-29' AS DATE)", "2024-02-29"],
      ["TRY_CAST('10-Feb-2021' AS TIMESTAMP)", "2021-02-10T00:00:00"],
      ["TO_VARCHAR(2.50)", "2.50"],
      ["TO_VARCHAR(TRUE)", "true"],
      ["TO_VARCHAR(3::FLOAT)", "3"],
      ["(1.5::FLOAT)::VARCHAR", "1.5"],
      ["TO_CHAR(NULL)", null],
      ["TO_CHAR(-5)", "-5"],
      ["TO_VARCHAR('2023-11-02'::DATE)", "2023-11-02"],
      ["TO_VARCHAR('2023-11-02 03:04:05'::TIMESTAMP)", "2023-11-02 03:04:05.000"],
      ["TO_BINARY('4d', 'HEX')", "4D"],
      ["TO_BINARY('hi', 'UTF-8')", "6869"],
      ["TO_BINARY('aGk=', 'BASE64')", "6869"],
      ["TRY_TO_BINARY('zz', 'HEX')", null],
      ["TO_VARCHAR(TO_BINARY('6869', 'HEX'), 'UTF-8')", "hi"],
      ["TO_VARCHAR(X'6869', 'BASE64')", "aGk="],
      ["HEX_ENCODE('hi')", "6869"],
      ["HEX_DECODE_STRING('6869')", "hi"],
      ["BASE64_ENCODE('hi')", "aGk="],
      ["BASE64_DECODE_STRING('aGk=')", "hi"],
      ["TRY_BASE64_DECODE_STRING('a')", null],
      ["TRY_HEX_DECODE_STRING('6')", null]
    ]
  },
  "formats of numbers": {
    table: [
      ["TO_CHAR(12, '999')", "  12"],
      ["TO_CHAR(-12, '999')", " -12"],
      ["TO_CHAR(12, '000')", " 012"],
      ["TO_CHAR(1234.5, '9,999.99')", " 1,234.50"],
      ["TO_CHAR(0.5, '0.00')", " 0.50"],
      ["TO_CHAR(12.3, '$99.0')", " $12.3"],
      ["TO_CHAR(-12.391, '$99.0')", "-$12.4"],
      ["TO_CHAR(5, 'S99')", " +5"],
      ["TO_CHAR(-5, 'S99')", " -5"],
      ["TO_CHAR(12345, '999')", " ###"],
      ["TO_CHAR(255, 'XXX')", "  FF"],
      ["TO_CHAR(1234.5, 'FM9,999.00')", "1,234.50"],
      ["TO_CHAR(12, 'TM9')", "12"],
      ['TO_CHAR(7, \'"<"99">"\')', "<  7>"]
    ]
  },
  "formats of dates": {
    from: "(SELECT '2023-07-04 16:05:09.123456'::TIMESTAMP AS t, '2023-07-04'::DATE AS d)",
    table: [
      ["TO_CHAR(t, 'YYYY-MM-DD')", "2023-07-04"],
      ["TO_CHAR(t, 'YYYY/MM/DD HH24:MI:SS')", "2023/07/04 16:05:09"],
      ["TO_CHAR(t, 'HH12:MI AM')", "04:05 PM"],
      ["TO_CHAR(t, 'SS.FF3')", "09.123"],
      ["TO_CHAR(t, 'FF6')", "123456"],
      ["TO_CHAR(t, 'FF')", "123456000"],
      ["TO_CHAR(d, 'DY, DD MON YYYY')", "Tue, 04 Jul 2023"],
      ["TO_CHAR(d, 'MMMM')", "July"],
      ["TO_CHAR(d, 'YY')", "23"],
      ["TO_CHAR(d, 'YYYY\"Q\"')", "2023Q"],
      ["TO_VARCHAR(d, 'mm.dd.yyyy')", "07.04.2023"],
      ["TO_CHAR(d, 'YYYY-MM-DD\"T\"HH24:MI')", "2023-07-04T00:00"],
      ["TO_CHAR(NULL::DATE, 'YYYY')", null],
      ["TO_CHAR(DATE_TRUNC('month', d), 'YYYY-MM')", "2023-07"],
      ["TO_DATE('04/07/2023', 'DD/MM/YYYY')", "2023-07-04"]
    ]
  },
  "reading dates": {
    table: [
      ["TO_DATE('2023-07-04')", "2023-07-04"],
      ["TO_DATE('07/04/2023', 'MM/DD/YYYY')", "2023-07-04"],
      ["TO_DATE('20230704', 'YYYYMMDD')", "2023-07-04"],
      ["TO_DATE('4-JUL-2023', 'DD-MON-YYYY')", "2023-07-04"],
      ["TO_DATE('2023-07-04 11:00:00')", "2023-07-04"],
      ["TO_DATE('1688428800')", "2023-07-04"],
      ["DATE('2023-07-04')", "2023-07-04"],
      ["'4-Jul-2023'::DATE", "2023-07-04"],
      ["'07/04/2023'::DATE", "2023-07-04"],
      ["TRY_TO_DATE('2023-13-01')", null],
      ["TRY_TO_DATE('04.07.2023', 'DD.MM.YYYY')", "2023-07-04"],
      ["TRY_TO_DATE(NULL)", null],
      ["TO_TIMESTAMP('2023-07-04 01:02:03')", "2023-07-04T01:02:03"],
      ["TO_TIMESTAMP('2023-07-04T01:02:03.5')", "2023-07-04T01:02:03.500"],
      ["TO_TIMESTAMP('2023-07-04T01:02:03+02:00')", "2023-07-04T01:02:03"],
      ["TO_TIMESTAMP_LTZ('2023-07-04 01:02:03 +0200')", "2023-07-03T23:02:03Z"],
      ["TO_TIMESTAMP(1688428800)", "2023-07-04T00:00:00"],
      ["TO_TIMESTAMP(1688428800123, 3)", "2023-07-04T00:00:00.123"],
      ["TO_TIMESTAMP('1688428800000')", "2023-07-04T00:00:00"],
      ["TO_TIMESTAMP('04.07.2023 13:14', 'DD.MM.YYYY HH24:MI')", "2023-07-04T13:14:00"],
      ["TO_TIMESTAMP('01:05 pm', 'HH12:MI AM')", "1970-01-01T13:05:00"],
      ["TRY_TO_TIMESTAMP('no time')", null],
      ["TO_TIME('09:08:07')", "09:08:07"],
      ["TO_TIME('090807', 'HH24MISS')", "09:08:07"],
      ["TRY_TO_TIME('25:00')", null],
      ["TIME('23:59:59')", "23:59:59"],
      ["1688428800::TIMESTAMP", "2023-07-04T00:00:00"],
      ["DATE '2023-07-04'", "2023-07-04"],
      ["TIMESTAMP '2023-07-04 10:00:00'", "2023-07-04T10:00:00"]
    ]
  },
  "calculating with dates": {
    from: "(SELECT '2024-01-31'::DATE AS d, '2024-01-31 10:20:30'::TIMESTAMP AS t, '2024-03-15' AS s, NULL::DATE AS n)",
    table: [
      ["DATEADD(day, 1, d)", "2024-02-01"],
      ["DATEADD('month', 1, d)", "2024-02-29"],
      ["DATEADD(year, -1, d)", "2023-01-31"],
      ["DATEADD(week, 2, d)", "2024-02-14"],
      ["DATEADD(quarter, 1, d)", "2024-04-30"],
      ["DATEADD(hour, 5, d)", "2024-01-31T05:00:00"],
      ["DATEADD(mi, -20, t)", "2024-01-31T10:00:30"],
      ["DATEADD(ms, 1500, t)", "2024-01-31T10:20:31.500"],
      ["DATEADD(day, 1, s)", "2024-03-16T00:00:00"],
      ["DATEADD(day, 1, n)", null],
      ["TIMESTAMPADD(second, 30, t)", "2024-01-31T10:21:00"],
      ["DATEDIFF(day, d, s)", 44],
      ["DATEDIFF(month, d, '2024-02-01')", 1],
      ["DATEDIFF(year, '2023-12-31', d)", 1],
      ["DATEDIFF(week, '2024-01-07', '2024-01-08')", 1],
      ["DATEDIFF(week, '2024-01-08', '2024-01-14')", 0],
      ["DATEDIFF(hour, d, t)", 10],
      ["DATEDIFF('minute', d, t)", 620],
      ["TIMEDIFF(second, '2024-01-31 10:20:00', t)", 30],
      ["DATEDIFF(day, n, d)", null],
      ["d + 1", "2024-02-01"],
      ["d - 31", "2023-12-31"],
      ["'2024-03-01'::DATE - d", 30],
      ["DATE_TRUNC('month', d)", "2024-01-01"],
      ["DATE_TRUNC(week, d)", "2024-01-29"],
      ["DATE_TRUNC('quarter', t)", "2024-01-01T00:00:00"],
      ["DATE_TRUNC('hour', t)", "2024-01-31T10:00:00"],
      ["TRUNC(d, 'year')", "2024-01-01"],
      ["TRUNC(t, 'day')", "2024-01-31T00:00:00"],
      ["LAST_DAY(d)", "2024-01-31"],
      ["LAST_DAY('2024-02-10'::DATE)", "2024-02-29"],
      ["LAST_DAY(d, 'quarter')", "2024-03-31"],
      ["LAST_DAY(d, year)", "2024-12-31"],
      ["LAST_DAY(d, week)", "2024-02-04"],
      ["ADD_MONTHS(d, 1)", "2024-02-29"],
      ["ADD_MONTHS('2024-02-29'::DATE, 12)", "2025-02-28"],
      ["ADD_MONTHS('2023-02-28'::DATE, 1)", "2023-03-31"],
      ["ADD_MONTHS('2024-01-15'::DATE, -2)", "2023-11-15"],
      ["MONTHS_BETWEEN('2024-03-31'::DATE, '2024-02-29'::DATE)", 1],
      ["MONTHS_BETWEEN('2024-03-15'::DATE, '2024-01-15'::DATE)", 2],
      ["MONTHS_BETWEEN('2024-03-01'::DATE, '2024-02-15'::DATE)", 0.548387],
      ["NEXT_DAY(d, 'Friday')", "2024-02-02"],
      ["NEXT_DAY(d, 'we')", "2024-02-07"],
      ["PREVIOUS_DAY(d, 'Monday')", "2024-01-29"],
      ["TIME_SLICE(t, 15, 'MINUTE')", "2024-01-31T10:15:00"],
      ["TIME_SLICE(t, 15, 'MINUTE', 'END')", "2024-01-31T10:30:00"],
      ["TIME_SLICE(d, 1, 'WEEK')", "2024-01-29"],
      ["DATE_FROM_PARTS(2024, 2, 30)", "2024-03-01"],
      ["DATE_FROM_PARTS(2024, 0, 1)", "2023-12-01"],
      ["TIME_FROM_PARTS(9, 70, 5)", "10:10:05"],
      ["TIMESTAMP_NTZ_FROM_PARTS(2024, 5, 6, 7, 8, 9)", "2024-05-06T07:08:09"],
      ["TIMESTAMP_FROM_PARTS('2024-05-06'::DATE, '07:08:09'::TIME)", "2024-05-06T07:08:09"],
      [
        "CONVERT_TIMEZONE('America/New_York', 'UTC', '2024-01-01 00:00:00'::TIMESTAMP_NTZ)",
        "2024-01-01T05:00:00"
      ]
    ]
  },
  "parts of dates": {
    from: "(SELECT '2023-01-01'::DATE AS d, '2023-12-31 23:58:59.250'::TIMESTAMP AS t)",
    table: [
      ["YEAR(d)", 2023],
      ["MONTH(t)", 12],
      ["DAY(t)", 31],
      ["QUARTER(t)", 4],
      ["HOUR(t)", 23],
      ["MINUTE(t)", 58],
      ["SECOND(t)", 59],
      ["DAYOFWEEK(d)", 0],
      ["DAYOFWEEKISO(d)", 7],
      ["DAYOFYEAR(t)", 365],
      ["WEEK(d)", 52],
      ["WEEKISO(d)", 52],
      ["YEAROFWEEK(d)", 2022],
      ["YEAROFWEEKISO(d)", 2022],
      ["DAYNAME(d)", "Sun"],
      ["MONTHNAME(t)", "Dec"],
      ["DATE_PART(year, d)", 2023],
      ["DATE_PART('dow', t)", 0],
      ["DATE_PART(epoch_second, '2023-01-01 00:00:10'::TIMESTAMP)", 1672531210],
      ["DATE_PART(epoch_millisecond, t)", 1704067139250],
      ["DATE_PART(nanosecond, t)", 250000000],
      ["EXTRACT(month FROM t)", 12],
      ["EXTRACT(epoch FROM '1970-01-02'::DATE)", 86400],
      ["YEAR('2020-05-05')", 2020],
      ["YEAR(NULL::DATE)", null]
    ]
  },
  texts: {
    table: [
      ["UPPER('groß')", "GROSS"],
      ["LOWER('ÀB')", "àb"],
      ["INITCAP('hello wide-open world')", "Hello Wide-Open World"],
      ["INITCAP('a_b c', ' ')", "A_b C"],
      ["INITCAP(NULL)", null],
      ["CONCAT('a', 'b', 'c')", "abc"],
      ["CONCAT('a', NULL)", null],
      ["CONCAT('n', 1)", "n1"],
      ["CONCAT_WS('-', 'a', 'b')", "a-b"],
      ["CONCAT_WS('-', 'a', NULL, 'b')", null],
      ["SUBSTR('snow', 2)", "now"],
      ["SUBSTR('snow', 0, 2)", "sn"],
      ["SUBSTR('snow', -2)", "ow"],
      ["SUBSTR('snow', 2, 2)", "no"],
      ["SUBSTRING('snow', 9)", ""],
      ["LEFT('snow', 2)", "sn"],
      ["RIGHT('snow', 3)", "now"],
      ["LEFT('snow', -1)", ""],
      ["LPAD('7', 3, '0')", "007"],
      ["LPAD('abcdef', 3, '*')", "abc"],
      ["RPAD('ab', 5, 'xy')", "abxyx"],
      ["LPAD(42, 5, '0')", "00042"],
      ["TRIM('  a ')", "a"],
      ["TRIM('xxaxx', 'x')", "a"],
      ["LTRIM('0012', '0')", "12"],
      ["RTRIM('12.00', '0.')", "12"],
      ["REPEAT('ab', 2)", "abab"],
      ["REVERSE('abc')", "cba"],
      ["REPLACE('a-b-c', '-', '+')", "a+b+c"],
      ["REPLACE('a-b-c', '-')", "abc"],
      ["TRANSLATE('abc', 'ab', 'xy')", "xyc"],
      ["SPLIT_PART('a,b,c', ',', 2)", "b"],
      ["SPLIT_PART('a,b,c', ',', 0)", "a"],
      ["SPLIT_PART('a,b,c', ',', -1)", "c"],
      ["SPLIT_PART('a,b,c', ',', 9)", ""],
      ["SPLIT('a,b', ',')", ["a", "b"]],
      ["SPLIT('a,b', ',')[1]", "b"],
      ["STRTOK('a b', ' ', 2)", "b"],
      ["STRTOK('one;two,three', ';,', 3)", "three"],
      ["STRTOK('..a.b', '.', 1)", "a"],
      ["STRTOK_TO_ARRAY('a.b-c', '.-')", ["a", "b", "c"]],
      ["POSITION('b', 'abcb')", 2],
      ["POSITION('b', 'abcb', 3)", 4],
      ["POSITION('z', 'abc')", 0],
      ["POSITION('c' IN 'abc')", 3],
      ["CHARINDEX('lo', 'hello')", 4],
      ["CONTAINS('hello', 'ell')", true],
      ["STARTSWITH('hello', 'he')", true],
      ["ENDSWITH('hello', 'he')", false],
      ["LENGTH('日本')", 2],
      ["OCTET_LENGTH('日本')", 6],
      ["ASCII('A')", 65],
      ["CHR(66)", "B"],
      ["UNICODE('é')", 233],
      ["INSERT('abcdef', 2, 3, 'X')", "aXef"],
      ["EDITDISTANCE('kitten', 'sitting')", 3],
      ["EDITDISTANCE('kitten', 'sitting', 2)", 2],
      ["JAROWINKLER_SIMILARITY('abc', 'abc')", 100],
      ["JAROWINKLER_SIMILARITY('abc', 'xyz')", 0],
      ["SOUNDEX('Robert')", "R163"],
      ["RTRIMMED_LENGTH(' ab  ')", 3],
      ["SPACE(3)", "   "],
      ["MD5('abc')", "900150983cd24fb0d6963f7d28e17f72"],
      ["SHA1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"],
      ["SHA2('abc', 224)", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"],
      ["SHA2('abc', 256)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
      ["'abc' LIKE 'a%'", true],
      ["'abc' LIKE 'A%'", false],
      ["'abc' ILIKE 'A%'", true],
      ["'a_c' LIKE 'a^_c' ESCAPE '^'", true],
      ["'abc' NOT LIKE '%z%'", true],
      ["'abc' LIKE ANY ('z%', '%c')", true],
      ["'abc' LIKE ALL ('a%', '%c')", true],
      ["'abc' ILIKE ANY ('Z%', '%C')", true],
      ["'a' = 'a '", false],
      ["'b' > 'a'", true]
    ]
  },
  "texts in columns": {
    from: "(SELECT column1 AS s, column2 AS d, column3 AS n FROM VALUES ('John Smith', '-', NULL))",
    table: [
      ["UPPER(s)", "JOHN SMITH"],
      ["UPPER(TRIM(SUBSTR(s, 5)))", "SMITH"],
      ["SPLIT_PART(s, ' ', 2)", "Smith"],
      ["LEFT(s, 1) || '.' || SPLIT_PART(s, ' ', -1)", "J.Smith"],
      ["REPLACE(REPLACE(s, 'o', '0'), 'i', '1')", "J0hn Sm1th"],
      ["LENGTH(n)", null],
      ["UPPER(n)", null],
      ["CONCAT(s, n)", null],
      ["s || COALESCE(n, '!')", "John Smith!"],
      ["NVL(UPPER(n), 'none')", "none"],
      ["CONCAT_WS(d, s, 'x')", "John Smith-x"],
      ["CHARINDEX(' ', s)", 5],
      ["INITCAP(LOWER(s))", "John Smith"],
      ["LPAD(LENGTH(s), 4, '0')", "0010"],
      ["IFF(s LIKE 'J%', 'yes', 'no')", "yes"],
      ["CONTAINS(LOWER(s), 'smith')", true]
    ]
  },
  "regular expressions": {
    from: "(SELECT 'Order 66, item 7' AS s, '\\\\d+' AS p, NULL AS n)",
    table: [
      ["REGEXP_LIKE('abc', 'a.c')", true],
      ["REGEXP_LIKE('xabc', 'a.c')", false],
      ["REGEXP_LIKE('ABC', 'a.c', 'i')", true],
      ["RLIKE('555-1234', '\\\\d{3}-\\\\d{4}')", true],
      ["'800' RLIKE '[0-9]+'", true],
      ["'800x' REGEXP '[0-9]+'", false],
      ["NOT 'abc' RLIKE 'b'", true],
      ["s RLIKE '.*item.*'", true],
      ["REGEXP_SUBSTR(s, '\\\\d+')", "66"],
      ["REGEXP_SUBSTR(s, p)", "66"],
      ["REGEXP_SUBSTR(s, '\\\\d+', 1, 2)", "7"],
      ["REGEXP_SUBSTR(s, '\\\\d+', 9)", "7"],
      ["REGEXP_SUBSTR(s, 'ITEM', 1, 1, 'i')", "item"],
      ["REGEXP_SUBSTR(s, '(\\\\w+) (\\\\d+)', 1, 1, 'e', 2)", "66"],
      ["REGEXP_SUBSTR(s, '(\\\\w+) (\\\\d+)', 1, 2, 'e')", "item"],
      ["REGEXP_SUBSTR(s, 'nothing')", null],
      ["REGEXP_SUBSTR(n, 'a')", null],
      ["REGEXP_SUBSTR_ALL(s, '\\\\d+')", ["66", "7"]],
      ["REGEXP_SUBSTR_ALL('a1b2', '[a-z]')", ["a", "b"]],
      ["REGEXP_REPLACE(s, '\\\\d')", "Order , item "],
      ["REGEXP_REPLACE(s, '\\\\d+', '#')", "Order #, item #"],
      ["REGEXP_REPLACE(s, '\\\\d+', '#', 1, 2)", "Order 66, item #"],
      ["REGEXP_REPLACE('John Smith', '(\\\\w+) (\\\\w+)', '\\\\2, \\\\1')", "Smith, John"],
      ["REGEXP_REPLACE('aAa', 'a', 'x', 1, 0, 'i')", "xxx"],
      ["REGEXP_COUNT(s, '\\\\d')", 3],
      ["REGEXP_COUNT('aXbxc', 'x', 1, 'i')", 2],
      ["REGEXP_INSTR(s, '\\\\d+')", 7],
      ["REGEXP_INSTR(s, '\\\\d+', 1, 2)", 16],
      ["REGEXP_INSTR(s, '\\\\d+', 1, 1, 1)", 9],
      ["REGEXP_INSTR(s, 'zzz')", 0],
      ["REGEXP_LIKE('a1', '[[:alpha:]][[:digit:]]')", true],
      ["REGEXP_REPLACE('a.b.c', '[.]', '')", "abc"]
    ]
  },
  conditions: {
    from: "(SELECT column1 AS a, column2 AS n FROM VALUES (2, NULL))",
    table: [
      ["IFF(a > 1, 'big', 'small')", "big"],
      ["IFF(NULL, 1, 2)", 2],
      ["CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "two"],
      ["CASE WHEN n IS NULL THEN 'none' ELSE 'some' END", "none"],
      ["DECODE(a, 1, 'one', 2, 'two', 'many')", "two"],
      ["DECODE(n, NULL, 'null', 'other')", "null"],
      ["DECODE(5, 1, 'one')", null],
      ["NVL2(n, 'set', 'unset')", "unset"],
      ["NVL2(a, 'set', 'unset')", "set"],
      ["COALESCE(n, n, a)", 2],
      ["NULLIF(a, 2)", null],
      ["EQUAL_NULL(n, NULL)", true],
      ["EQUAL_NULL(a, NULL)", false],
      ["a IS DISTINCT FROM n", true],
      ["n IS NOT DISTINCT FROM NULL", true],
      ["BOOLAND(1, -1)", true],
      ["BOOLOR(0, 0)", false],
      ["BOOLXOR(1, -1)", false],
      ["BOOLXOR(1, 0)", true],
      ["BOOLNOT(0)", true],
      ["a BETWEEN 1 AND 3", true],
      ["a IN (1, 2)", true],
      ["a NOT IN (1, 3)", true],
      ["n IN (1)", null],
      ["(a, 1) IN ((2, 1), (3, 1))", true],
      ["(a, n) IN ((2, NULL))", null],
      ["TRUE AND NULL", null],
      ["FALSE AND NULL", false]
    ]
  },
  "reading semi-structured values": {
    from: `(SELECT PARSE_JSON('{"id": 7, "name": "Ann", "tags": ["x", "y"], "geo": {"lat": 1.5, "city name": "Oslo"}, "none": null, "ok": true, "at": "2024-05-06", "text": "42"}') AS v)`,
    table: [
      ["v:id", 7],
      ["v:name", "Ann"],
      ["v:name::STRING", "Ann"],
      ["v['name']::VARCHAR", "Ann"],
      ["v:tags", ["x", "y"]],
      ["v:tags[0]", "x"],
      ["v:tags[1]::STRING", "y"],
      ["v:tags[5]", null],
      ["v:geo.lat", 1.5],
      ["v:geo.lat::FLOAT", 1.5],
      ['v:geo."city name"::STRING', "Oslo"],
      ["v:geo['city name']::STRING", "Oslo"],
      ["v:missing", null],
      ["v:missing.deeper", null],
      ["v:none IS NULL", false],
      ["v:missing IS NULL", true],
      ["IS_NULL_VALUE(v:none)", true],
      ["v:none::STRING", null],
      ["STRIP_NULL_VALUE(v:none) IS NULL", true],
      ["v:id + 1", 8],
      ["v:geo.lat * 2", 3],
      ["v:id / 2", 3.5],
      ["v:id::INT / 2", "3.500000"],
      ["v:id = 7", true],
      ["v:name = 'Ann'", true],
      ["v:geo.lat > 1", true],
      ["v:id > 7.5", false],
      ["v:name LIKE 'A%'", true],
      ["UPPER(v:name)", "ANN"],
      ["'Hi ' || v:name", "Hi Ann"],
      ["v:ok::BOOLEAN", true],
      ["v:at::DATE", "2024-05-06"],
      ["DATEADD(day, 1, v:at::DATE)", "2024-05-07"],
      ["YEAR(v:at::TIMESTAMP)", 2024],
      ["v:text::INT", 42],
      ["v:id::STRING", "7"],
      ["v:tags::STRING", '["x","y"]'],
      ["v:geo::STRING", '{"city name":"Oslo","lat":1.5}'],
      ["GET(v, 'id')", 7],
      ["GET(v:tags, 1)", "y"],
      ["GET_PATH(v, 'geo.lat')", 1.5],
      ["GET_PATH(v, 'tags[0]')", "x"],
      ["GET_IGNORE_CASE(v, 'NAME')", "Ann"],
      ["JSON_EXTRACT_PATH_TEXT('{\"a\":{\"b\":5}}', 'a.b')", "5"],
      ["TYPEOF(v:id)", "INTEGER"],
      ["TYPEOF(v:geo.lat)", "DECIMAL"],
      ["TYPEOF(v:name)", "VARCHAR"],
      ["TYPEOF(v:tags)", "ARRAY"],
      ["TYPEOF(v)", "OBJECT"],
      ["TYPEOF(v:none)", "NULL_VALUE"],
      ["TYPEOF(v:ok)", "BOOLEAN"],
      ["OBJECT_KEYS(v:geo)", ["city name", "lat"]],
      ["ARRAY_SIZE(v:tags)", 2],
      ["ARRAY_SIZE(v:geo)", null],
      ["IS_INTEGER(v:id)", true],
      ["IS_VARCHAR(v:id)", false],
      ["IS_ARRAY(v:tags)", true],
      ["IS_OBJECT(v:tags)", false],
      ["AS_INTEGER(v:id)", 7],
      ["AS_INTEGER(v:name)", null],
      ["AS_VARCHAR(v:name)", "Ann"],
      ["PARSE_JSON('[1, {\"a\": 2}]')[1].a", 2],
      ["PARSE_JSON('{z: 1, a: 2}')::VARCHAR", '{"a":2,"z":1}'],
      ['TO_JSON(PARSE_JSON(\'{"b": [1, 2], "a": null}\'))', '{"a":null,"b":[1,2]}'],
      ["TRY_PARSE_JSON('{')", null],
      ["PARSE_JSON(NULL)", null],
      ["PARSE_JSON('12345678901234567890')::VARCHAR", "12345678901234567890"],
      ["CHECK_JSON('{\"a\":1}')", null],
      ["PARSE_JSON('1') = PARSE_JSON('1.0')", true]
    ]
  },
  "arrays and objects": {
    from: "(SELECT ARRAY_CONSTRUCT(3, 1, 2) AS a, [1, NULL, 'x'] AS m, OBJECT_CONSTRUCT('k', 1, 'l', 'two') AS o, NULL::ARRAY AS n)",
    table: [
      ["a", [3, 1, 2]],
      ["a[0]", 3],
      ["a[2]", 2],
      ["a[9]", null],
      ["m", [1, null, "x"]],
      ["m[2]::STRING", "x"],
      ["[10, 20, 30][0]", 10],
      ["[[1, 2], [3]][0][1]", 2],
      ["o", { k: 1, l: "two" }],
      ["o:k", 1],
      ["o['l']::STRING", "two"],
      ["{'p': 1, 'q': [2]}", { p: 1, q: [2] }],
      ["ARRAY_SIZE(a)", 3],
      ["ARRAY_APPEND(a, 4)", [3, 1, 2, 4]],
      ["ARRAY_PREPEND(a, 0)", [0, 3, 1, 2]],
      ["ARRAY_CAT(a, [9])", [3, 1, 2, 9]],
      ["ARRAY_COMPACT(m)", [1, "x"]],
      ["ARRAY_CONTAINS(1::VARIANT, a)", true],
      ["ARRAY_CONTAINS('x'::VARIANT, m)", true],
      ["ARRAY_CONTAINS(NULL, m)", true],
      ["ARRAY_CONTAINS(NULL, a)", null],
      ["ARRAY_POSITION(2, a)", 2],
      ["ARRAY_DISTINCT([1, 1, NULL, NULL])", [1, null]],
      ["ARRAY_EXCEPT([1, 2, 2], [2])", [1, 2]],
      ["ARRAY_INTERSECTION([1, 2, 2], [2, 3])", [2]],
      ["ARRAYS_OVERLAP(a, [9, 1])", true],
      ["ARRAY_FLATTEN([[1], [2, 3]])", [1, 2, 3]],
      ["ARRAY_GENERATE_RANGE(1, 4)", [1, 2, 3]],
      ["ARRAY_GENERATE_RANGE(5, 0, -2)", [5, 3, 1]],
      ["ARRAY_INSERT(a, 1, 9)", [3, 9, 1, 2]],
      ["ARRAY_MAX(a)", 3],
      ["ARRAY_MIN([4, NULL, 2])", 2],
      ["ARRAY_REMOVE([1, 2, 1], 1)", [2]],
      ["ARRAY_REMOVE_AT(a, 0)", [1, 2]],
      ["ARRAY_REMOVE_AT(a, -1)", [3, 1]],
      ["ARRAY_SLICE(a, 0, 2)", [3, 1]],
      ["ARRAY_SLICE(a, 0, -1)", [3, 1]],
      ["ARRAY_SLICE(a, -2, 3)", [1, 2]],
      ["ARRAY_SORT(a)", [1, 2, 3]],
      ["ARRAY_SORT(a, FALSE)", [3, 2, 1]],
      ["ARRAY_SORT([2, NULL, 1])", [1, 2, null]],
      ["ARRAY_REVERSE(a)", [2, 1, 3]],
      ["ARRAY_TO_STRING(a, '-')", "3-1-2"],
      ["ARRAY_TO_STRING(m, ',')", "1,,x"],
      [
        "ARRAYS_ZIP([1, 2], ['a'])",
        [
          { $1: 1, $2: "a" },
          { $1: 2, $2: null }
        ]
      ],
      ["ARRAYS_TO_OBJECT(['a', 'b'], [1, 2])", { a: 1, b: 2 }],
      ["ARRAY_CONSTRUCT_COMPACT(1, NULL, 2)", [1, 2]],
      ["ARRAY_SIZE(n)", null],
      ["ARRAY_APPEND(n, 1)", null],
      ["FILTER(a, x -> x > 1)", [3, 2]],
      ["TRANSFORM(a, x -> x * 10)", [30, 10, 20]],
      ["REDUCE(a, 0, (s, x) -> s + x)", 6],
      ["FILTER([{'n': 1}, {'n': 5}], e -> e:n > 2)", [{ n: 5 }]],
      ["OBJECT_CONSTRUCT('a', 1, 'b', NULL)", { a: 1 }],
      ["OBJECT_CONSTRUCT_KEEP_NULL('a', 1, 'b', NULL)", { a: 1, b: null }],
      ["OBJECT_INSERT(o, 'm', 3)", { k: 1, l: "two", m: 3 }],
      ["OBJECT_INSERT(o, 'k', 9, TRUE)", { k: 9, l: "two" }],
      ["OBJECT_DELETE(o, 'k')", { l: "two" }],
      ["OBJECT_PICK(o, 'k')", { k: 1 }],
      ["OBJECT_KEYS(o)", ["k", "l"]],
      ["TO_ARRAY(5)", [5]],
      ["TO_JSON(OBJECT_CONSTRUCT('b', 1, 'a', [1, 'x']))", '{"a":[1,"x"],"b":1}'],
      ["TO_VARIANT('x')", "x"],
      ["TYPEOF(TO_VARIANT('2024-01-01'::DATE))", "DATE"],
      ["PARSE_URL('https://user@example.com:8080/a/b?x=1&y=2#z'):host::STRING", "example.com"],
      ["PARSE_URL('https://example.com/a?x=1'):parameters:x::STRING", "1"],
      ["PARSE_URL('https://example.com:8080/a'):port::STRING", "8080"]
    ]
  }
}

const queries: ReadonlyArray<readonly [string, string, ReadonlyArray<ReadonlyArray<Cell>>]> = [
  [
    "names the columns of VALUES",
    "SELECT column2, column1 FROM VALUES (1, 'a'), (2, 'b') ORDER BY 2",
    [
      ["a", 1],
      ["b", 2]
    ]
  ],
  ["reads columns by position", "SELECT $2 FROM VALUES (1, 'a')", [["a"]]],
  ["names the columns of VALUES in brackets", "SELECT v.column1 FROM (VALUES (5)) AS v", [[5]]],
  ["gives VALUES other names", "SELECT y FROM VALUES (1, 2) AS t (x, y)", [[2]]],
  ["uses earlier columns of the same list", "SELECT 2 AS a, a * 3 AS b, b + 1 AS c", [[2, 6, 7]]],
  ["filters by a column of the list", "SELECT column1 * 2 AS d FROM VALUES (1), (2) WHERE d > 2", [[4]]],
  [
    "QUALIFY with the name of a window function",
    "SELECT column1 AS k, ROW_NUMBER() OVER (PARTITION BY column1 ORDER BY column2 DESC) AS r FROM VALUES ('a', 1), ('a', 2), ('b', 1) QUALIFY r = 1 ORDER BY k",
    [
      ["a", 1],
      ["b", 1]
    ]
  ],
  ["AVG with six digits", "SELECT AVG(column1) FROM VALUES (1), (2), (2)", [["1.666667"]]],
  [
    "AVG as a window function",
    "SELECT AVG(column1) OVER () FROM VALUES (1), (2) ORDER BY 1",
    [["1.500000"], ["1.500000"]]
  ],
  [
    "variances",
    "SELECT VAR_POP(column1), VAR_SAMP(column1) FROM VALUES (1), (2), (4)",
    [["1.555556", "2.333333"]]
  ],
  [
    "COUNT of several columns",
    "SELECT COUNT(column1, column2), COUNT(DISTINCT column1, column2) FROM VALUES (1, 1), (1, 1), (1, NULL)",
    [[2, 1]]
  ],
  [
    "COUNT of a semi-structured column, which does not count a JSON null",
    "SELECT COUNT(v), COUNT(DISTINCT t.v), COUNT(n), COUNT(*) FROM (SELECT PARSE_JSON(column1) AS v, column2 AS n FROM VALUES ('null', 1), ('1', NULL), ('1', 0), (NULL, 2), ('[null]', 3)) AS t",
    [[3, 2, 4, 5]]
  ],
  [
    "a product of more than twelve digits, which has twelve or as many as a factor",
    "WITH t AS (SELECT 1.1234567::NUMBER(18, 7) AS a, 2.7654321::NUMBER(18, 7) AS b, 3 AS i, 1.5 AS m) SELECT .1 * .0000000000001, a * b, -a * b, a * -b, 2 * a * b, a * i * b, (SELECT SUM(x) FROM (SELECT a * b AS x FROM t) WHERE x = 3.106843221140), CASE WHEN i > 1 THEN a ELSE b END * b, b * CASE WHEN i > 1 THEN a ELSE b END, a::FLOAT * b::FLOAT > 3.10684322114 FROM t",
    [
      [
        ...["0.0000000000000", "3.106843221140", "-3.106843221140", "-3.106843221140", "6.213686442280"],
        ...["9.320529663420", "3.106843221140", "3.106843221140", "3.106843221140", true]
      ]
    ]
  ],
  [
    "products of many factors, and in other operations",
    "WITH t AS (SELECT 1.5 AS a, 2.5 AS b, 3 AS i, NULL AS n) SELECT a * b * b * b * b, a / b * b, a * b % 2, a * (b * b), i * i * i * i * i * i * i, NULL * a, a * b || 'x', (a * b)::INT, COUNT(*) * 2.5, SUM(a * b) FROM t GROUP BY a, b, i",
    [["58.59375", "1.50000000", "1.75", "9.375", 2187, null, "3.75x", 4, "2.5", "3.75"]]
  ],
  [
    "a cast of a whole CASE",
    "SELECT CASE WHEN 1 = 1 THEN 2.6 ELSE 3 END::INT, CASE WHEN FALSE THEN 1 END::VARCHAR",
    [[3, null]]
  ],
  [
    "a floating-point number in a VARIANT, which is told from a decimal one",
    `WITH t AS (SELECT PARSE_JSON('1.912e2') AS v, PARSE_JSON('{"d":1.5e2,"n":1.5,"i":2}') AS o)
     SELECT TYPEOF(v), v, v > 100, v < 200, v = 191.2, v::VARCHAR, v::NUMBER, v::NUMBER + 1, TO_JSON(v), TYPEOF(o:d), TYPEOF(o:n), TYPEOF(o:i),
       TYPEOF(1.5::FLOAT::VARIANT), IS_DOUBLE(o:d), IS_DECIMAL(o:d), IS_DECIMAL(o:n), TYPEOF(f.value), TYPEOF(GET(ARRAY_CONSTRUCT(2::FLOAT), 0))
     FROM t, TABLE(FLATTEN(input => PARSE_JSON('[3e0]'))) AS f`,
    [
      [
        ...[
          "DOUBLE",
          191.2,
          true,
          true,
          true,
          "191.2",
          191,
          192,
          "1.912000000000000e+02",
          "DOUBLE",
          "DECIMAL",
          "INTEGER"
        ],
        ...["DOUBLE", true, false, true, "DOUBLE", "DOUBLE"]
      ]
    ]
  ],
  [
    "a number of many digits in a VARIANT",
    `WITH t AS (SELECT PARSE_JSON('{"id":9007199254740993,"f":0.30000000000000004}') AS v) SELECT v:id, v:id::NUMBER + 1, v:id::NUMBER = 9007199254740993, v:id::NUMBER = 9007199254740992, v:id::VARCHAR, v:f > 4, v:f = 0.30000000000000004 FROM t`,
    [["9007199254740993", "9007199254740994", true, false, "9007199254740993", false, true]]
  ],
  [
    "comparisons of columns beside semi-structured values",
    "WITH t AS (SELECT PARSE_JSON('{\"id\":5,\"n\":\"x\"}') AS v, 'a' AS s, '2024-01-01'::DATE AS d, TRUE AS b) SELECT v:id, COUNT(*) FROM t JOIN (SELECT 'a' AS k) AS u ON t.s = u.k WHERE v:id > 4 AND v:n = 'x' AND d < '2024-02-01' AND b = TRUE AND s IN ('a', 'b') GROUP BY v:id HAVING v:id BETWEEN 4 AND 6 ORDER BY v:id",
    [[5, 1]]
  ],
  [
    "the order and the extremes of numbers of both kinds in a VARIANT",
    `WITH t AS (SELECT PARSE_JSON(column1) AS o FROM VALUES ('{"n":1.5e2}'), ('{"n":20}'), ('{"n":3.5e0}')) SELECT TYPEOF(t.o:n), o:n, MAX(o:n) OVER (), MIN(t.o:n) OVER () FROM t ORDER BY o:n`,
    [
      ["DOUBLE", 3.5, 150, 3.5],
      ["INTEGER", 20, 150, 3.5],
      ["DOUBLE", 150, 150, 3.5]
    ]
  ],
  [
    "what is sorted by a path beside groups, DISTINCT and an alias",
    `WITH t AS (SELECT PARSE_JSON(column1) AS o FROM VALUES ('{"n":2}'), ('{"n":1}'), ('{"n":2}')) SELECT (SELECT LISTAGG(x, ',') FROM (SELECT DISTINCT o:n AS x FROM t ORDER BY x)), MAX(o), COUNT(*) FROM t GROUP BY o:n ORDER BY o:n NULLS LAST LIMIT 1`,
    [["1,2", { n: 1 }, 1]]
  ],
  [
    "all of a FLATTEN of several rows but its SEQ",
    "SELECT f.* EXCLUDE (SEQ, THIS) FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES ('[1]'), ('[2]')) AS t, LATERAL FLATTEN(input => t.v) AS f ORDER BY f.value",
    [
      [null, "[0]", 0, 1],
      [null, "[0]", 0, 2]
    ]
  ],
  [
    "what a query around a FLATTEN of several rows names",
    "SELECT * FROM (SELECT f.value FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES ('[1]'), ('[2]')) AS t, LATERAL FLATTEN(input => t.v) AS f) ORDER BY 1",
    [[1], [2]]
  ],
  [
    "a product of no more than twelve digits",
    "SELECT 1.234567 * 1.000001, 0.0000000000001::NUMBER(20, 13), 0.0000000000001 * 2",
    [["1.234568234567", "0.0000000000001", "0.0000000000002"]]
  ],
  [
    "names that only DuckDB reserves",
    "WITH semi AS (SELECT 1 AS at, 2 AS do, 3 AS primary) SELECT at + do, semi.primary, MAX(at), COUNT(semi.do) FROM semi WHERE at < primary GROUP BY at, do, primary ORDER BY at",
    [[3, 3, 1, 1]]
  ],
  [
    "SEQ of a FLATTEN of one value",
    "SELECT SEQ, VALUE FROM TABLE(FLATTEN(input => PARSE_JSON('[7]')))",
    [[1, 7]]
  ],
  ["COUNT of a table's rows without NULL", "SELECT COUNT(t.*) FROM VALUES (1, 2), (3, NULL) AS t", [[1]]],
  [
    "LISTAGG in an order",
    "SELECT LISTAGG(column1, '|') WITHIN GROUP (ORDER BY column1 DESC) FROM VALUES ('a'), ('c'), (NULL), ('b')",
    [["c|b|a"]]
  ],
  [
    "LISTAGG of distinct values",
    "SELECT LISTAGG(DISTINCT column1, ',') WITHIN GROUP (ORDER BY column1) FROM VALUES ('b'), ('a'), ('b')",
    [["a,b"]]
  ],
  ["LISTAGG of no rows", "SELECT LISTAGG(column1, ',') FROM VALUES ('a') WHERE column1 = 'z'", [[""]]],
  [
    "ARRAY_AGG without NULLs",
    "SELECT ARRAY_AGG(column1) WITHIN GROUP (ORDER BY column1) FROM VALUES (2), (NULL), (1)",
    [[[1, 2]]]
  ],
  ["ARRAY_AGG of no rows", "SELECT ARRAY_AGG(column1) FROM VALUES (1) WHERE FALSE", [[[]]]],
  [
    "an element of ARRAY_AGG",
    "SELECT ARRAY_AGG(column1) WITHIN GROUP (ORDER BY column1 DESC)[0] FROM VALUES (1), (5)",
    [[5]]
  ],
  [
    "OBJECT_AGG",
    "SELECT OBJECT_AGG(column1, column2) FROM VALUES ('a', 1), ('b', NULL), ('c', 3)",
    [[{ a: 1, c: 3 }]]
  ],
  [
    "MIN_BY and MAX_BY",
    "SELECT MIN_BY(column1, column2), MAX_BY(column1, column2) FROM VALUES ('x', 3), ('y', 1)",
    [["y", "x"]]
  ],
  [
    "aggregates of booleans",
    "SELECT BOOLAND_AGG(column1), BOOLOR_AGG(column1), BOOLXOR_AGG(column1) FROM VALUES (TRUE), (FALSE)",
    [[false, true, true]]
  ],
  ["MEDIAN", "SELECT MEDIAN(column1) FROM VALUES (1), (3), (10)", [["3.000"]]],
  [
    "sums of paths",
    "SELECT SUM(PARSE_JSON(column1):n) FROM VALUES ('{\"n\": 1.5}'), ('{\"n\": 2}')",
    [[3.5]]
  ],
  [
    "groups by a path",
    'SELECT PARSE_JSON(column1):k::STRING AS k, COUNT(*) FROM VALUES (\'{"k":"a"}\'), (\'{"k":"a"}\') GROUP BY k',
    [["a", 2]]
  ],
  [
    "sorts semi-structured numbers as numbers",
    "SELECT PARSE_JSON(column1) AS v FROM VALUES ('10'), ('9'), ('1.5') ORDER BY v",
    [[1.5], [9], [10]]
  ],
  [
    "LAST_VALUE over the whole partition",
    "SELECT LAST_VALUE(column1) OVER (ORDER BY column1), FIRST_VALUE(column1) OVER (ORDER BY column1) FROM VALUES (1), (2) ORDER BY 1",
    [
      [2, 1],
      [2, 1]
    ]
  ],
  [
    "LAG that skips NULL",
    "SELECT column1, LAG(column2) IGNORE NULLS OVER (ORDER BY column1) FROM VALUES (1, 'a'), (2, NULL), (3, 'c') ORDER BY 1",
    [
      [1, null],
      [2, "a"],
      [3, "a"]
    ]
  ],
  [
    "RATIO_TO_REPORT",
    "SELECT ROUND(RATIO_TO_REPORT(column1) OVER (), 3) FROM VALUES (1), (2) ORDER BY 1",
    [["0.333"], ["0.667"]]
  ],
  [
    "CONDITIONAL_TRUE_EVENT",
    "SELECT CONDITIONAL_TRUE_EVENT(column2 > 1) OVER (ORDER BY column1) FROM VALUES (1, 1), (2, 5), (3, 0), (4, 9) ORDER BY 1",
    [[0], [1], [1], [2]]
  ],
  [
    "CONDITIONAL_CHANGE_EVENT",
    "SELECT column1, CONDITIONAL_CHANGE_EVENT(column2) OVER (ORDER BY column1) FROM VALUES (1, 'a'), (2, 'a'), (3, 'b') ORDER BY 1",
    [
      [1, 0],
      [2, 0],
      [3, 1]
    ]
  ],
  [
    "FLATTEN of an array",
    "SELECT f.index, f.value FROM TABLE(FLATTEN(INPUT => [7, 8])) f ORDER BY 1",
    [
      [0, 7],
      [1, 8]
    ]
  ],
  [
    "FLATTEN of an object",
    'SELECT key, value, path FROM TABLE(FLATTEN(PARSE_JSON(\'{"a":1,"b":[2]}\'))) ORDER BY 1',
    [
      ["a", 1, "a"],
      ["b", [2], "b"]
    ]
  ],
  [
    "FLATTEN with a path",
    "SELECT f.path FROM TABLE(FLATTEN(INPUT => PARSE_JSON('{\"k\":{\"l\":[5]}}'), PATH => 'k.l')) f",
    [["k.l[0]"]]
  ],
  [
    "FLATTEN all levels",
    'SELECT path FROM TABLE(FLATTEN(INPUT => PARSE_JSON(\'{"a":[1,{"b":2}]}\'), RECURSIVE => TRUE))',
    [["a"], ["a[0]"], ["a[1]"], ["a[1].b"]]
  ],
  [
    "FLATTEN that keeps rows",
    "SELECT column1, f.value FROM VALUES (1), (2), LATERAL FLATTEN(INPUT => IFF(column1 = 1, [5], []), OUTER => TRUE) f ORDER BY 1",
    [
      [1, 5],
      [2, null]
    ]
  ],
  ["FLATTEN of its own input", "SELECT this FROM TABLE(FLATTEN([1]))", [[[1]]]],
  [
    "FLATTEN of a split text",
    "SELECT f.value::STRING FROM VALUES ('x,y') t, LATERAL FLATTEN(SPLIT(t.column1, ',')) f ORDER BY f.index",
    [["x"], ["y"]]
  ],
  [
    "SPLIT_TO_TABLE",
    "SELECT index, value FROM TABLE(SPLIT_TO_TABLE('a.b', '.')) ORDER BY 1",
    [
      [1, "a"],
      [2, "b"]
    ]
  ],
  ["GENERATOR and SEQ4", "SELECT SUM(SEQ4()) FROM TABLE(GENERATOR(ROWCOUNT => 5))", [[10]]],
  [
    "PIVOT of listed values",
    "SELECT * FROM (SELECT column1 AS k, column2 AS m, column3 AS x FROM VALUES (1, 'a', 5), (1, 'b', 6), (2, 'a', 7)) PIVOT (SUM(x) FOR m IN ('a', 'b')) ORDER BY k",
    [
      [1, 5, 6],
      [2, 7, null]
    ]
  ],
  [
    "UNPIVOT with names in capitals",
    "SELECT * FROM (SELECT 1 AS jan, 2 AS feb) UNPIVOT (v FOR m IN (jan, feb)) ORDER BY v",
    [
      ["JAN", 1],
      ["FEB", 2]
    ]
  ],
  [
    "ASOF JOIN",
    "SELECT l.t, r.v FROM (SELECT column1 AS t FROM VALUES (1), (5)) l ASOF JOIN (SELECT column1 AS t, column2 AS v FROM VALUES (2, 'x'), (4, 'y')) r MATCH_CONDITION (l.t >= r.t) ORDER BY 1",
    [
      [1, null],
      [5, "y"]
    ]
  ],
  [
    "CONNECT BY",
    "WITH e AS (SELECT column1 AS id, column2 AS boss, column3 AS name FROM VALUES (1, NULL, 'a'), (2, 1, 'b'), (3, 2, 'c')) SELECT id, LEVEL, SYS_CONNECT_BY_PATH(name, '/') FROM e START WITH boss IS NULL CONNECT BY boss = PRIOR id ORDER BY id",
    [
      [1, 1, "/a"],
      [2, 2, "/a/b"],
      [3, 3, "/a/b/c"]
    ]
  ],
  [
    "an inner join without a condition",
    "SELECT COUNT(*) FROM (VALUES (1), (2)) a JOIN (VALUES (1), (2), (3)) b",
    [[6]]
  ],
  [
    "OBJECT_CONSTRUCT of a row",
    "SELECT OBJECT_CONSTRUCT(*) FROM (SELECT 1 AS a, 'x' AS b) t",
    [[{ A: 1, B: "x" }]]
  ],
  ["EXCLUDE", "SELECT * EXCLUDE (b) FROM (SELECT 1 AS a, 2 AS b)", [[1]]],
  ["TOP", "SELECT TOP 1 column1 FROM VALUES (1), (2) ORDER BY 1 DESC", [[2]]],
  [
    "the same value in and out of a view",
    "SELECT PAYLOAD:device.type::STRING AS t FROM SNOWGUARD_SAMPLE.WEB.EVENTS WHERE EVENT_ID = 3",
    [["tablet"]]
  ]
]

/** What Snowflake refuses, or what is refused here because it would be another value. */
const refused: ReadonlyArray<readonly [string, RegExp]> = [
  ["SELECT 1 / 0", /Division by zero/],
  ["SELECT 1 % 0", /Division by zero/],
  ["SELECT 'x'::NUMBER", /x/],
  ["SELECT 'ABCD'::CHAR(2)", /too long/],
  ["SELECT TO_DATE('2024-02-30')", /not recognized/],
  ["SELECT TO_DATE('x', 'YYYY')", /not recognized/],
  ["SELECT TO_NUMBER('1x')", /not recognized/],
  ["SELECT TO_DECIMAL('12345', 3, 0)", /out of representable range/],
  ["SELECT 'perhaps'::BOOLEAN", /not recognized/],
  ["SELECT PARSE_JSON('{')", /parsing JSON/],
  ['SELECT PARSE_JSON(\'{"a":1,"a":2}\')', /duplicate/],
  ["SELECT REGEXP_LIKE('a', '(')", /regular expression/],
  ["SELECT REGEXP_SUBSTR('ab', 'a(?=b)')", /lookaround/],
  ["SELECT HASH('a')", /other numbers than Snowflake's/],
  ["SELECT COLLATE('a', 'en-ci')", /COLLATE/],
  ["SELECT RANDOM(5)", /seed/],
  [
    "WITH t AS (SELECT a * b * c * a AS x FROM (SELECT 1.12345678::NUMBER(20, 8) AS a, 2.5 AS b, 1.5 AS c)) SELECT COUNT(*) FROM t WHERE x > 1",
    /a product of many factors with more than 12 digits/i
  ],
  ["SELECT v > 4 FROM (SELECT PARSE_JSON('-9007199254740993') AS v)", /more than 15 digits in a VARIANT/],
  [
    "SELECT PARSE_JSON('{\"id\":9007199254740993}'):id = 9007199254740993",
    /cast it, for example v:id::NUMBER/
  ],
  [
    "WITH t AS (SELECT PARSE_JSON('{\"id\":9007199254740993}') AS v) SELECT 1 FROM t WHERE t.v:id NOT IN (9007199254740993)",
    /more than 15 digits/
  ],
  ["SELECT PARSE_JSON('{\"id\":9007199254740993}'):id BETWEEN 1 AND 2", /more than 15 digits/],
  [
    "SELECT t.v:id FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES ('{\"id\":10000000000000000}'), ('{\"id\":9007199254740993}')) AS t ORDER BY v:id DESC",
    /more than 15 digits/
  ],
  ["SELECT MAX(v) FROM (SELECT PARSE_JSON('9007199254740993') AS v)", /more than 15 digits/],
  ["SELECT PARSE_JSON('{\"id\":9007199254740993}'):id + 1", /more than 15 digits/],
  ...["f.*", "*", "t.v, f.*", "DISTINCT *", "f.* EXCLUDE (KEY)"].map((list): readonly [string, RegExp] => [
    `SELECT ${list} FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES ('[1]'), ('[2]')) AS t, LATERAL FLATTEN(input => t.v) AS f`,
    /SEQ of a FLATTEN of several rows/
  ]),
  [
    "SELECT f.seq FROM (SELECT PARSE_JSON(column1) AS v FROM VALUES ('[1]'), ('[2]')) AS t, LATERAL FLATTEN(input => t.v) AS f",
    /SEQ of a FLATTEN of several rows/
  ],
  ["SELECT CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())", /TIMESTAMP_TZ/],
  ["SELECT TO_TIMESTAMP_TZ('2024-01-01 00:00:00 +09:00')", /offset/],
  ["SELECT SUM(v) FROM (SELECT PARSE_JSON('1') AS v)", /VARIANT/],
  ["SELECT * FROM (SELECT 1 AS a, 'x' AS b) PIVOT (SUM(a) FOR b IN (ANY))", /PIVOT with ANY/],
  ["SELECT OBJECT_INSERT(OBJECT_CONSTRUCT('a', 1), 'a', 2)", /exists/],
  ["SELECT REGEXP_INSTRR('a', 'b')", /Unknown function REGEXP_INSTRR/]
]

const read = (sql: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const warehouse = yield* Warehouse
      const result = yield* warehouse.execute({ sql, timeoutMs: 20_000, requestId: "table" })
      return Chunk.toReadonlyArray(yield* Stream.runCollect(result.rows)).flat()
    })
  )

withLayer(DuckDb.layer())("Snowflake's values", (it) => {
  for (const [name, { from, table }] of Object.entries(families)) {
    it.effect(`of ${name}`, () =>
      Effect.gen(function* () {
        const list = table.map(([expression]) => expression).join(", ")
        const whole = yield* Effect.either(read(`SELECT ${list}${from === undefined ? "" : ` FROM ${from}`}`))
        const cells: Array<unknown> = []
        for (const [index, [expression]] of table.entries()) {
          if (Either.isRight(whole)) {
            cells.push(whole.right[0]?.[index])
            continue
          }
          // Which of them it is.
          const one = yield* Effect.either(
            read(`SELECT ${expression}${from === undefined ? "" : ` FROM ${from}`}`)
          )
          cells.push(Either.isRight(one) ? one.right[0]?.[0] : one.left.description)
        }
        const shown = (value: unknown) => JSON.stringify(value ?? null)
        const others = table.flatMap(([expression, value], index) =>
          isDeepStrictEqual(cells[index] ?? null, value)
            ? []
            : [`${expression}: ${shown(cells[index])} in place of ${shown(value)}`]
        )
        expect(others.join("\n")).toBe("")
      })
    )
  }

  for (const [name, sql, rows] of queries) {
    it.effect(`of a query: ${name}`, () =>
      Effect.gen(function* () {
        expect(yield* read(sql)).toEqual(rows)
      })
    )
  }

  it.effect("are refused where they would be others", () =>
    Effect.gen(function* () {
      for (const [sql, why] of refused) {
        const answer = yield* Effect.either(read(sql))
        const said = Either.isLeft(answer) ? (answer.left.description ?? "") : JSON.stringify(answer.right)
        expect(`${sql}: ${said}`).toMatch(why)
        if (Either.isLeft(answer)) expect([sql, answer.left.reason]).toEqual([sql, "InvalidStatement"])
      }
    })
  )
})
