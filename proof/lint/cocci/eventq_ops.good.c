// SPDX-License-Identifier: GPL-2.0
/* What eventq_ops.cocci must not report */

static const struct iommufd_eventq_ops mute = {
	.file_name = "[x]",
	.class = "x",
	.stage = stage,
	.settle = settle,
	.close = close,
	.show_fdinfo = show_fdinfo,
};

static struct iommufd_eventq_ops responded = {
	.close = close,
	.respond = respond,
	.response_size = 8,
	.file_name = "[x]",
	.class = "x",
	.stage = stage,
	.settle = settle,
	.show_fdinfo = show_fdinfo,
};

/* Of another type */
static const struct file_operations fops = {
	.owner = THIS_MODULE,
};
