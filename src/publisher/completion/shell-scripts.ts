/**
 * The completion scripts. Each asks `gantry completion candidates -- WORDS` for lines of `word TAB description`, and
 * only does what its shell needs: bash splits words at `:` and `=`, zsh takes `:` for the end of a word.
 */

/** bash: the words are read from the line, since `COMP_WORDS` is split at `COMP_WORDBREAKS`. */
const BASH = `# bash completion for gantry
_gantry() {
  local line=\${COMP_LINE:0:COMP_POINT} word prefix
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  local current=\${words[\${#words[@]}-1]}
  # Readline replaces only what follows the last break in the word.
  case $current in
    *[:=]*) prefix=\${current%"\${current##*[:=]}"} ;;
  esac
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    COMPREPLY+=("\${word#"$prefix"}")
  done < <("\${words[0]}" completion candidates -- "\${words[@]:1}" 2>/dev/null)
  case \${COMPREPLY[0]} in
    *[/:=]) compopt -o nospace 2>/dev/null ;;
  esac
}
complete -F _gantry gantry
`;

/** zsh: words that go on (a folder, a prefix) get no space behind them. */
const ZSH = `#compdef gantry
_gantry() {
  local line word
  local -a finished open
  while IFS= read -r line; do
    word=\${line%%$'\\t'*}
    line="\${word//:/\\\\:}:\${line#*$'\\t'}"
    case $word in
      *[/:=]) open+=("$line") ;;
      *) finished+=("$line") ;;
    esac
  done < <("\${(Q)words[1]}" completion candidates -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  (( \${#finished} )) && _describe -t words word finished
  (( \${#open} )) && _describe -t prefixes prefix open -S ''
}
# If sourced, it registers itself; if autoloaded from $fpath, it is called at once.
if [ "$funcstack[1]" = _gantry ]; then _gantry "$@"; else compdef _gantry gantry; fi
`;

/** fish reads `word TAB description` as it is, and adds no space behind `/`, `:` and `=`. */
const FISH = `# fish completion for gantry
function __gantry_candidates
    set -l words (commandline -opc)
    $words[1] completion candidates -- $words[2..] (commandline -ct) 2>/dev/null
end
complete -c gantry -f -a '(__gantry_candidates)'
`;

/** Shell → its script. */
export const SHELL_SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const;
