package orders

import rego.v1

# OPA is asked after Haldir's scopes and rules, and can only be stricter than they are: `allow` takes nothing back.
default decision := {"decision": "allow"}

decision := {"decision": "deny", "reason": concat("; ", denials)} if count(denials) > 0

denials contains "a refund is at most $50" if {
	input.tool == "refund"
	not small_refund
}

# Says what is small, not what is large: an amount that is missing, or no number, is denied too.
small_refund if {
	is_number(input.args.amount)
	input.args.amount > 0
	input.args.amount <= 50
}

denials contains "mail goes to the shop's customers alone" if {
	input.tool == "send_email"
	not endswith(input.args.to, "@customers.example")
}
