# SPDX-License-Identifier: MIT
# What the tests of recipes share; read before the directory is changed.

die() {
	echo "FAIL: $*" >&2
	exit 1
}

# The values of a results file: all but the last column, the seconds.
values() {
	"$mohs" results export "$1" --csv | sed 's/,[^,]*$//' | sort
}

# Two results files hold the same values, or what $3 says.
equal() {
	values "$1" >a.txt
	values "$2" >b.txt
	cmp -s a.txt b.txt || { diff a.txt b.txt | head -5 >&2; die "$3"; }
}

# What an earlier process left is made old before the next begins.
fresh_state() {
	for f in kept/attacks/*; do
		[ "$f" -nt before ] && return 0
	done
	return 1
}

# killed MOST ERR COMMAND...: kill -9 of MOST processes of the command, which
# keeps its attacks' states in kept/attacks, each when it has written a state of
# its own; then once more, to the end. n: how many were killed; ERR: what they said.
killed() {
	most=$1 err=$2
	shift 2
	touch -d '1 hour ago' before
	n=0
	while [ $n -lt "$most" ]; do
		for f in kept/attacks/*; do
			[ ! -e "$f" ] || touch -d '2 hours ago' "$f"
		done
		"$@" >/dev/null 2>>"$err" &
		pid=$!
		while kill -0 $pid 2>/dev/null && ! fresh_state; do sleep 0.01; done # and reaps
		sleep 0.0$((n * 7 % 10))
		kill -KILL $pid 2>/dev/null || break # it was through before
		wait $pid 2>/dev/null || true
		n=$((n + 1))
	done
	wait
	"$@" >/dev/null 2>>"$err" || die "killed $n times, then: $(tail -n 1 "$err")"
	grep -q 'goes on where it was' "$err" || die "never in the middle: $(cat "$err")"
	[ -z "$(ls kept/attacks)" ] || die "states left behind: $(ls kept/attacks)"
}
