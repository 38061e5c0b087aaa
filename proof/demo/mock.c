// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of iommufd's mock device and of its set-up: see mock.h.
 */
#include <stdint.h>

#include "eventq_ioctl.h"
#include "iommufd_test.h"
#include "mock.h"

static int test_call(int iommu, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return eventq_ioctl(iommu, IOMMU_TEST_CMD, cmd);
}

const char *mock_response_name(enum mock_response_code code)
{
	static const char * const names[] = {
		[MOCK_RESPONSE_SUCCESS] = "SUCCESS",
		[MOCK_RESPONSE_INVALID] = "INVALID",
		[MOCK_RESPONSE_FAILURE] = "FAILURE",
		[MOCK_RESPONSE_NONE] = "no response",
	};

	return code <= MOCK_RESPONSE_NONE ? names[code] : "unknown";
}

int mock_ioas(int iommu, __u32 *ioas)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = eventq_ioctl(iommu, IOMMU_IOAS_ALLOC, &cmd);

	*ioas = cmd.out_ioas_id;
	return rc;
}

int mock_device(int iommu, __u32 ioas, struct mock_device *dev)
{
	struct iommu_test_cmd cmd = { .id = ioas };
	int rc = test_call(iommu, IOMMU_TEST_OP_MOCK_DOMAIN, &cmd);

	dev->stdev_id = cmd.mock_domain.out_stdev_id;
	dev->dev_id = cmd.mock_domain.out_idev_id;
	return rc;
}

int mock_attach(int iommu, __u32 stdev_id, __u32 pt)
{
	struct iommu_test_cmd cmd = {
		.id = stdev_id,
		.mock_domain_replace.pt_id = pt,
	};

	return test_call(iommu, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);
}

static int alloc_viommu(int iommu, __u32 ioas, const struct mock_device *dev,
			__u32 *viommu)
{
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = dev->dev_id,
		.pt_id = ioas,
	};
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = dev->dev_id,
	};
	int rc = eventq_ioctl(iommu, IOMMU_HWPT_ALLOC, &parent);

	if (rc)
		return rc;
	cmd.hwpt_id = parent.out_hwpt_id;
	rc = eventq_ioctl(iommu, IOMMU_VIOMMU_ALLOC, &cmd);
	*viommu = cmd.out_viommu_id;
	return rc;
}

int mock_viommu(int iommu, __u32 ioas, const struct mock_device *dev,
		__u32 *viommu)
{
	struct iommu_vdevice_alloc vdev = {
		.size = sizeof(vdev),
		.dev_id = dev->dev_id,
		.virt_id = MOCK_VIRT_ID,
	};
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.dev_id = dev->dev_id,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = alloc_viommu(iommu, ioas, dev, viommu);

	if (rc)
		return rc;
	/* The guest's number of the device comes before it is attached. */
	vdev.viommu_id = *viommu;
	rc = eventq_ioctl(iommu, IOMMU_VDEVICE_ALLOC, &vdev);
	if (rc)
		return rc;
	nested.pt_id = *viommu;
	rc = eventq_ioctl(iommu, IOMMU_HWPT_ALLOC, &nested);
	return rc ? rc : mock_attach(iommu, dev->stdev_id, nested.out_hwpt_id);
}

int mock_setup(struct mock_setup *setup)
{
	int rc = mock_ioas(setup->iommu, &setup->ioas);

	if (!rc)
		rc = mock_device(setup->iommu, setup->ioas, &setup->fault_dev);
	if (!rc)
		rc = mock_device(setup->iommu, setup->ioas, &setup->event_dev);
	if (!rc)
		rc = mock_viommu(setup->iommu, setup->ioas, &setup->event_dev,
				 &setup->viommu);
	return rc;
}

int mock_fault_group(int iommu, const struct mock_device *dev, __u32 grpid,
		     unsigned int nr)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nr && !rc; i++) {
		struct iommu_test_cmd cmd = {
			.trigger_iopf = {
				.dev_id = dev->dev_id,
				.grpid = grpid,
				.perm = IOMMU_PGFAULT_PERM_READ,
				.addr = MOCK_FAULT_ADDR + i * MOCK_PAGE_SIZE,
			},
		};

		rc = test_call(iommu, i + 1 < nr ?
			       IOMMU_TEST_OP_TRIGGER_IOPF_PART :
			       IOMMU_TEST_OP_TRIGGER_IOPF, &cmd);
	}
	return rc;
}

int mock_vevent(int iommu, const struct mock_device *dev)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = dev->dev_id };

	return test_call(iommu, IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
}

int mock_response(int iommu, const struct mock_device *dev,
		  struct mock_response *response)
{
	struct iommu_test_cmd cmd = { .iopf_response.dev_id = dev->dev_id };
	int rc = test_call(iommu, IOMMU_TEST_OP_IOPF_RESPONSE, &cmd);

	response->grpid = cmd.iopf_response.out_grpid;
	response->nr_success = cmd.iopf_response.out_nr_success;
	response->nr_invalid = cmd.iopf_response.out_nr_invalid;
	response->code = MOCK_RESPONSE_NONE;
	if (!rc && cmd.iopf_response.out_valid)
		response->code = cmd.iopf_response.out_code;
	return rc;
}
