// SPDX-License-Identifier: GPL-2.0
/* What eventq_ops.cocci has to report: the lines that say so */

static const struct iommufd_eventq_ops no_stage = { /* flag */
	.file_name = "[x]",
	.class = "x",
	.settle = settle,
	.close = close,
	.show_fdinfo = show_fdinfo,
};

static const struct iommufd_eventq_ops null_close = { /* flag */
	.file_name = "[x]",
	.class = "x",
	.stage = stage,
	.settle = settle,
	.close = NULL,
	.show_fdinfo = show_fdinfo,
};

struct iommufd_eventq_ops responses_of_no_size = { /* flag */
	.file_name = "[x]",
	.class = "x",
	.stage = stage,
	.settle = settle,
	.respond = respond,
	.close = close,
	.show_fdinfo = show_fdinfo,
};

static const struct iommufd_eventq_ops empty = {}; /* flag */
