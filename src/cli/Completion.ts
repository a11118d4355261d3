/**
 * Completion scripts for bash, zsh and fish, made from the table of commands. They are static: a shell completes without
 * starting this program. Pure.
 *
 * Each script finds the place on the command line (`""`, `keys`, `keys create`) in the words before the cursor, leaving out
 * options and their values, and offers what may stand there.
 *
 * @since 0.1.0
 */
import type { CommandSpec, OptionSpec } from "./Commands.js"
import { commands, help, options as common } from "./Commands.js"

interface Place {
  readonly path: string
  readonly words: ReadonlyArray<readonly [word: string, summary: string]>
  readonly options: ReadonlyArray<OptionSpec>
}

/** The first words of actions below a path, with a summary where that is the whole name. */
const below = (spec: CommandSpec, path: string): Place["words"] => {
  const next = new Map<string, string>()
  for (const { name, summary } of spec.actions ?? []) {
    if (!name.startsWith(path)) continue
    const [word = "", ...more] = name.slice(path.length).trim().split(" ")
    if (word !== "" && !next.has(word)) next.set(word, more.length === 0 ? summary : `${word} ...`)
  }
  return [...next]
}

const valuesOf = ({ operands = [] }: Pick<CommandSpec, "operands">): Place["words"] =>
  (operands[0]?.values ?? []).map((value) => [value, ""])

const prefixes = (spec: CommandSpec): ReadonlyArray<string> => [
  ...new Set(
    (spec.actions ?? []).flatMap(({ name }) => {
      const [word = "", ...more] = name.split(" ")
      return more.length === 0 ? [] : [word]
    })
  )
]

const places = (specs: ReadonlyArray<CommandSpec>): ReadonlyArray<Place> => {
  const all: ReadonlyArray<CommandSpec> = [...specs, help]
  const names = all.map(({ name, summary }) => [name, summary] as const)
  return [
    { path: "", words: names, options: [...(specs[0]?.options ?? []), ...common] },
    ...all.flatMap((spec): ReadonlyArray<Place> => {
      const options = [...spec.options, ...common]
      return [
        {
          path: spec.name,
          words:
            spec.name === help.name ? names : spec.actions === undefined ? valuesOf(spec) : below(spec, ""),
          options
        },
        ...prefixes(spec).map((word) => ({
          path: `${spec.name} ${word}`,
          words: below(spec, `${word} `),
          options
        })),
        ...(spec.actions ?? []).map((action) => ({
          path: `${spec.name} ${action.name}`,
          words: valuesOf(action),
          options: [...action.options, ...options]
        }))
      ]
    }),
    ...specs.flatMap((spec): ReadonlyArray<Place> =>
      spec.actions === undefined
        ? []
        : [
            { path: `${help.name} ${spec.name}`, words: below(spec, ""), options: [] },
            ...prefixes(spec).map((word) => ({
              path: `${help.name} ${spec.name} ${word}`,
              words: below(spec, `${word} `),
              options: []
            }))
          ]
    )
  ]
}

/** Each option once. */
const distinct = (all: ReadonlyArray<Place>): ReadonlyArray<OptionSpec> => [
  ...new Map(all.flatMap(({ options }) => options.map((option) => [option.name, option] as const))).values()
]

const spellings = ({ name, short }: OptionSpec): ReadonlyArray<string> => [
  `--${name}`,
  ...(short === undefined ? [] : [`-${short}`])
]

const valued = (all: ReadonlyArray<Place>) => distinct(all).filter(({ value }) => value !== undefined)

const single = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Options that take a value, by what completes it. */
const byValue = (all: ReadonlyArray<Place>) => {
  const taking = valued(all)
  const patterns = (of: ReadonlyArray<OptionSpec>) => of.flatMap(spellings).join("|")
  return {
    any: patterns(taking),
    files: patterns(taking.filter(({ file }) => file === true)),
    plain: patterns(taking.filter(({ file, values }) => file !== true && values === undefined)),
    choices: taking.flatMap((option) =>
      option.values === undefined ? [] : [[spellings(option).join("|"), option.values] as const]
    )
  }
}

const pathPattern = (all: ReadonlyArray<Place>): string =>
  all.flatMap(({ path }) => (path === "" ? [] : [`"${path}"`])).join("|")

/** Within a loop over the words before the cursor, in bash and zsh: which command they have come to. */
const walk = (any: string, all: ReturnType<typeof places>): string => `    case "$word" in
      ${any}) skip=yes; continue ;;
      -*) continue ;;
    esac
    next="\${at:+$at }$word"
    case "$next" in
      ${pathPattern(all)}) at="$next" ;;
    esac
  done`

/**
 * For `~/.bashrc`: `source <(snowguard completion bash)`. Runs in bash 3.2, as macOS has it.
 *
 * @since 0.1.0
 * @category rendering
 */
export const bash = (specs: ReadonlyArray<CommandSpec> = commands): string => {
  const all = places(specs)
  const { any, choices, files, plain } = byValue(all)
  return `# bash completion for snowguard
_snowguard() {
  local cur prev at="" next word i skip="" choices="" options=""
  COMPREPLY=()
  cur="\${COMP_WORDS[COMP_CWORD]}"
  prev="\${COMP_WORDS[COMP_CWORD-1]}"
  # bash takes --name=value for three words.
  if [[ $cur == "=" ]]; then cur=""; elif [[ $prev == "=" ]]; then prev="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if [[ $word == "=" ]]; then continue; fi
    if [[ -n $skip ]]; then skip=""; continue; fi
${walk(any, all)}
  case "$prev" in
    ${files})
      local IFS=$'\\n'
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "$cur"))
      return ;;
${choices.map(([names, values]) => `    ${names}) COMPREPLY=($(compgen -W "${values.join(" ")}" -- "$cur")); return ;;`).join("\n")}
    ${plain}) return ;;
  esac
  case "$at" in
${all
  .map(
    ({ options, path, words }) =>
      `    "${path}") choices="${words.map(([word]) => word).join(" ")}"; options="${options.flatMap(spellings).join(" ")}" ;;`
  )
  .join("\n")}
  esac
  if [[ $cur == -* ]]; then choices="$options"; fi
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
}
complete -F _snowguard snowguard`
}

/**
 * For a directory of `$fpath`, under the name `_snowguard`, or for `source <(snowguard completion zsh)`.
 *
 * @since 0.1.0
 * @category rendering
 */
export const zsh = (specs: ReadonlyArray<CommandSpec> = commands): string => {
  const all = places(specs)
  const { any, choices, files, plain } = byValue(all)
  const described = (name: string, summary: string) =>
    single(name.replaceAll(":", "\\:") + (summary === "" ? "" : `:${summary}`))
  return `#compdef snowguard
_snowguard() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}" at="" next word skip=""
  local -a choices options
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $skip ]]; then skip=""; continue; fi
${walk(any, all)}
  if [[ $cur == --*=* ]]; then prev="\${cur%%=*}"; compset -P '*='; fi
  case "$prev" in
    ${files}) _files; return ;;
${choices
  .map(([names, values]) => `    ${names}) choices=(${values.join(" ")}); _describe value choices; return ;;`)
  .join("\n")}
    ${plain}) return ;;
  esac
  case "$at" in
${all
  .map(
    ({ options, path, words }) =>
      `    "${path}")
      choices=(${words.map(([word, summary]) => described(word, summary)).join(" ")})
      options=(${options.flatMap((option) => spellings(option).map((name) => described(name, option.summary))).join(" ")}) ;;`
  )
  .join("\n")}
  esac
  if [[ $cur == -* ]]; then _describe -o option options; else _describe command choices; fi
}
if [[ "\${funcstack[1]}" == _snowguard ]]; then _snowguard "$@"; else compdef _snowguard snowguard; fi`
}

/**
 * For `~/.config/fish/completions/snowguard.fish`.
 *
 * @since 0.1.0
 * @category rendering
 */
export const fish = (specs: ReadonlyArray<CommandSpec> = commands): string => {
  const all = places(specs)
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`
  const option = ({ file, name, short, summary, value, values }: OptionSpec) =>
    [
      `-l ${name}`,
      ...(short === undefined ? [] : [`-s ${short}`]),
      ...(values !== undefined
        ? [`-x -a ${quoted(values.join(" "))}`]
        : value === undefined
          ? []
          : [file === true ? "-r -F" : "-x"]),
      `-d ${quoted(summary)}`
    ].join(" ")
  return [
    "# fish completion for snowguard",
    "function __snowguard_at",
    "  set -l at",
    "  set -l skip",
    "  for word in (commandline -opc)[2..-1]",
    '    if test -n "$skip"',
    "      set skip",
    "      continue",
    "    end",
    "    switch $word",
    `      case ${valued(all).flatMap(spellings).join(" ")}`,
    "        set skip yes",
    "        continue",
    "      case '-*'",
    "        continue",
    "    end",
    '    set -l next (string trim -- "$at $word")',
    "    switch $next",
    `      case ${all.flatMap(({ path }) => (path === "" ? [] : [quoted(path)])).join(" ")}`,
    "        set at $next",
    "    end",
    "  end",
    '  test "$at" = "$argv[1]"',
    "end",
    "complete -c snowguard -f",
    ...all.flatMap(({ options, path, words }) => {
      const here = `complete -c snowguard -n ${quoted(`__snowguard_at "${path}"`)}`
      return [
        ...words.map(
          ([word, summary]) => `${here} -a ${word}${summary === "" ? "" : ` -d ${quoted(summary)}`}`
        ),
        ...options.map((one) => `${here} ${option(one)}`)
      ]
    })
  ].join("\n")
}
