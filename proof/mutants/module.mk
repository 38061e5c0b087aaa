# SPDX-License-Identifier: GPL-2.0
# Makes the iommufd module in the folder of a kernel that was built before, by the
# commands that kbuild kept there beside each object. That is for one who builds
# hundreds of them: kbuild itself takes twice as long to find out what to do. What
# only kbuild can make, like a new object, it does not make, and nobody looks
# whether the symbols that the module wants are exported.

folder := drivers/iommu/iommufd
module := $(folder)/iommufd.ko
objects := $(strip $(file <$(folder)/iommufd.mod))
made := $(objects) $(folder)/iommufd.o $(module)

$(module): $(folder)/iommufd.o
$(folder)/iommufd.o: $(objects)

# Of each, what it was made from and how: source_X, savedcmd_X, and what X needs.
include $(foreach x,$(made),$(dir $(x)).$(notdir $(x)).cmd)

# As kbuild does: objtool, which comes behind the compiler, is content with the
# object of before.
.DELETE_ON_ERROR:
.SECONDEXPANSION:
$(made): $$(source_$$@)
	@set -e; $(or $(savedcmd_$@),$(error kbuild never made $@))
