"""Language models as mutators: the wire, the endpoints, the budget. Imports no model library."""
