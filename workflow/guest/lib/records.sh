# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the guest says to the runner: its records, a fault, its end. The other files of the
# library stand on this one.

sequence=0
stage=boot
finished=no

# Descriptor 3 is the record channel. Children must not inherit it: a host that powers itself
# off waits until the last holder has closed and so drained it.
open_record_channel() {
	stty -F /dev/ttyS0 raw -echo
	exec 3>/dev/ttyS0
}

# record NAME [MEMBERS]
# A holder that ends sends this shell a signal, which interrupts a write: nothing is written then.
record() {
	until printf '{"seq":%d,"record":"%s"%s}\n' "$sequence" "$1" "${2:+,$2}" >&3; do
		:
	done
	sequence=$((sequence + 1))
}

# fault CAUSE MESSAGE: the trial ends here
fault() {
	fault_message=$(printf '%s' "$2" | tr -c 'A-Za-z0-9 _./:;=,()-' '?')
	record fault "\"stage\":\"$stage\",\"cause\":\"$1\",\"message\":\"$fault_message\""
	end_trial
}

# unavailable REASON: this kernel cannot do what the trials of this cell need, and all of them say so
unavailable() {
	fault unavailable "$1"
}

finish() {
	record end
	end_trial
}

stop_for_runner() {
	carveout pause 3>&- >/dev/null || fault error "the guest could not stop for the runner"
}

# The runner does with a guest that stands at its end as it likes. Where none can stand, or
# nobody stops it, it powers itself off.
end_trial() {
	finished=yes
	carveout pause 3>&- >/dev/null
	exec 3>&-
	poweroff -f
	# Not reached, but init must never return: the kernel would panic.
	while :; do sleep 1000; done
}

# The shell ends by itself on a syntax error or an unset variable in a plug-in.
at_exit() {
	[ $finished = yes ] || fault error "the guest shell ended in stage $stage; the console log says why"
}
