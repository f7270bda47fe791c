# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# The step in which a VM runs in what is lent: once to its end, and once until it is killed.
#
# It shares its variables with the other steps; what the tool answers is evaluated here.
# shellcheck disable=SC2154

vm_step() {
	[ "$RUNS_VM" = yes ] || return 0
	begin_step vm
	if [ "$verified_bytes" -eq 0 ]; then
		vm_outcome=nothing_lent
		vm_count=0
	else
		vm_answer=$(carveout vm "$SEED" 3>&-) || fault error "the monitor of a VM failed"
		eval "$vm_answer"
	fi
	tell_vm_json
	record vm "\"cycle\":$cycle,\"outcome\":\"$vm_outcome\",\"count\":$vm_count,$vm_json"
}

# Sets vm_json. Where none ran, there is nothing to tell but why.
tell_vm_json() {
	text_or_null "${vm_refusals:-}"
	vm_json="\"refusals\":$json"
	case $vm_outcome in
	ran) tell_run_json ;;
	*) vm_json="$vm_json,\"run\":null" ;;
	esac
	vm_refusals=
}

tell_run_json() {
	vm_json="$vm_json,\"run\":{\"way\":\"$vm_way\",\"made_ns\":$vm_made_ns,\
\"first_instruction_ns\":$vm_first_instruction_ns,\"first_counter_ns\":$vm_first_counter_ns,\"counter_ns\":$vm_counter_ns,\
\"run_ns\":$vm_run_ns,\"faults\":$vm_faults,\"exits\":$vm_exits,\"exits_told\":$vm_exits_told,\
\"leaves\":["
	vm_comma=
	for vm_leaf in $vm_level1_leaf_bytes:$vm_level1_leaves $vm_level2_leaf_bytes:$vm_level2_leaves \
		$vm_level3_leaf_bytes:$vm_level3_leaves; do
		vm_json="$vm_json$vm_comma{\"bytes\":${vm_leaf%:*},\"count\":${vm_leaf#*:}}"
		vm_comma=,
	done
	vm_json="$vm_json],\"device_bytes\":$vm_device_bytes,\"uncached_bytes\":$vm_uncached_bytes,\
\"other_bytes\":$vm_other_bytes,\"table_bytes\":$vm_table_bytes,\
\"table_counter_bytes\":$vm_table_counter_bytes,\"pages_checked\":$vm_pages_checked,\
\"pages_bad\":$vm_pages_bad,\"pages_unseen\":$vm_pages_unseen,\"killed\":$vm_killed,\
\"table_left_bytes\":$vm_table_left_bytes,\"tainted\":$vm_tainted}"
}
