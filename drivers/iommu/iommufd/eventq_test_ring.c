// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the ring, through a queue class that exists for that alone. The
 * class is complete, from the allocation ioctl to the end of its object, and as
 * short as a class of events that may be lost can be:
 * Documentation/driver-api/iommufd_eventq.rst shows it.
 */
#include "eventq_test.h"

/* toy-class-begin */
/* uAPI: the payload of an event, and the ioctl that allocates a queue */
struct toy_event {
	__u32 where;
	__u32 degrees;
};

struct toy_eventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 depth;
	__u32 out_eventq_id;
	__u32 out_eventq_fd;
	__u32 __reserved;
};

#define TOY_EVENT_TYPE 1
#define TOY_MAX_DEPTH 64

/* What reports the events, with the queues that they go to */
struct toy_producer {
	struct iommufd_object obj;
	struct iommufd_eventq_source events;
};

struct toy_lossy_eventq {
	struct iommufd_eventq_ring ring;
	struct toy_producer *producer;
};

static const struct iommufd_eventq_ops toy_lossy_ops = {
	.file_name = "[iommufd-toy-event]",
	.class = "toy-lossy",
	.min_read = sizeof(struct iommufd_vevent_header),
	.stage = iommufd_eventq_ring_stage,
	.settle = iommufd_eventq_ring_settle,
	.close = iommufd_eventq_ring_close,
	.show_fdinfo = iommufd_eventq_ring_show_fdinfo,
};

/* The producer is alive, and may be in any context that the ring allows */
static int toy_lossy_report(struct toy_producer *producer,
			    const struct toy_event *event)
{
	return iommufd_eventq_source_report(&producer->events, TOY_EVENT_TYPE,
					    event, sizeof(*event));
}

static int toy_lossy_alloc(struct iommufd_ucmd *ucmd,
			   struct toy_producer *producer)
{
	struct toy_eventq_alloc *cmd = ucmd->cmd;
	struct toy_lossy_eventq *toy;
	int rc;

	if ((cmd->flags & ~IOMMUFD_EVENTQ_ALLOC_FLAGS) || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->depth || cmd->depth > TOY_MAX_DEPTH)
		return -EINVAL;

	toy = __iommufd_object_alloc_ucmd(ucmd, toy, IOMMUFD_OBJ_VEVENTQ,
					  ring.common.obj);
	if (IS_ERR(toy))
		return PTR_ERR(toy);

	iommufd_eventq_setup(&toy->ring.common, &toy_lossy_ops, cmd->flags);
	rc = iommufd_eventq_ring_init(&toy->ring, &producer->events,
				      TOY_EVENT_TYPE, cmd->depth,
				      sizeof(struct toy_event));
	if (rc)
		return rc;
	toy->producer = producer;
	refcount_inc(&producer->obj.users);

	cmd->out_eventq_id = toy->ring.common.obj.id;
	return iommufd_eventq_publish(&toy->ring.common, ucmd,
				      &cmd->out_eventq_fd, sizeof(*cmd));
}

/* Also of a queue whose allocation failed half-way */
static void toy_lossy_destroy(struct iommufd_object *obj)
{
	struct toy_lossy_eventq *toy =
		container_of(obj, struct toy_lossy_eventq, ring.common.obj);

	iommufd_eventq_ring_free(&toy->ring);
	if (toy->producer)
		refcount_dec(&toy->producer->obj.users);
}

/* toy-class-end */

struct toy_record {
	struct iommufd_vevent_header header;
	struct toy_event event;
};

/* A producer, and what the object core does for its queues */
struct toy_world {
	struct iommufd_ctx *ictx;
	struct toy_producer producer;
	struct toy_eventq_alloc cmd;
	struct iommufd_ucmd ucmd;
	struct iommufd_object *obj;
	struct file *filep;
};

static void toy_end(struct toy_world *world, struct iommufd_object *obj)
{
	struct iommufd_eventq *eventq =
		container_of(obj, struct iommufd_eventq, obj);

	/* As iommufd_object_abort_and_destroy() does with the file */
	if (eventq->filep && eventq->filep != world->filep)
		__fput_sync(eventq->filep);
	toy_lossy_destroy(obj);
	xa_erase(&world->ictx->objects, obj->id);
	kfree(obj);
}

static int toy_alloc(struct toy_world *world, u32 depth, u32 flags)
{
	int rc;

	world->cmd = (struct toy_eventq_alloc){
		.size = sizeof(world->cmd),
		.flags = flags,
		.depth = depth,
	};
	world->ucmd.new_obj = NULL;
	rc = toy_lossy_alloc(&world->ucmd, &world->producer);
	if (rc && world->ucmd.new_obj)
		toy_end(world, world->ucmd.new_obj);
	return rc;
}

static struct toy_world *toy_begin(struct kunit *test)
{
	struct toy_world *world =
		kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, world);
	world->ictx = fake_ctx(test);
	world->ucmd = fake_ucmd(test, world->ictx, &world->cmd,
				sizeof(world->cmd));
	refcount_set(&world->producer.obj.users, 1);
	iommufd_eventq_source_init(&world->producer.events);
	return world;
}

static void toy_open(struct kunit *test, struct toy_world *world, u32 depth)
{
	KUNIT_ASSERT_EQ(test, toy_alloc(world, depth, 0), 0);
	world->obj = world->ucmd.new_obj;
	world->filep = take_file(container_of(world->obj, struct iommufd_eventq,
					      obj),
				 world->cmd.out_eventq_fd);
}

static void toy_done(struct kunit *test, struct toy_world *world)
{
	KUNIT_EXPECT_EQ(test, refcount_read(&world->producer.obj.users), 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&world->producer.events.queues));
	fake_ctx_put(test, world->ictx);
}

static int toy_say(struct toy_world *world, u32 degrees)
{
	struct toy_event event = { .where = 1, .degrees = degrees };

	return toy_lossy_report(&world->producer, &event);
}

static void test_ring_class(struct kunit *test)
{
	struct toy_world *world = toy_begin(test);
	struct toy_record buf[4] = {};
	unsigned int i;
	int rc;

	KUNIT_EXPECT_EQ(test, toy_say(world, 1), -EOPNOTSUPP);
	toy_open(test, world, 3);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, toy_say(world, 20 + i), 0);
	KUNIT_EXPECT_EQ(test, read_kernel(world->filep, buf, sizeof(buf), 0),
			3 * sizeof(buf[0]) + sizeof(buf[0].header));
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, buf[i].header.flags, 0);
		KUNIT_EXPECT_EQ(test, buf[i].header.sequence, i);
		KUNIT_EXPECT_EQ(test, buf[i].event.degrees, 20 + i);
	}
	KUNIT_EXPECT_EQ(test, buf[3].header.flags,
			IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	KUNIT_EXPECT_EQ(test, buf[3].header.sequence, 4);

	/* A bug of the class */
	kunit_warning_suppress(test) {
		rc = iommufd_eventq_source_report(&world->producer.events,
						  TOY_EVENT_TYPE, buf,
						  sizeof(struct toy_event) - 1);
	}
	KUNIT_EXPECT_EQ(test, rc, -EINVAL);

	__fput_sync(world->filep);
	KUNIT_EXPECT_EQ(test, toy_say(world, 1), 0);
	toy_end(world, world->obj);
	KUNIT_EXPECT_EQ(test, toy_say(world, 1), -EOPNOTSUPP);
	toy_done(test, world);
}

/* Each step of the allocation that can fail leaves nothing behind */
static void test_ring_class_failed_alloc(struct kunit *test)
{
	struct toy_world *world = toy_begin(test);

	KUNIT_EXPECT_EQ(test, toy_alloc(world, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, toy_alloc(world, TOY_MAX_DEPTH + 1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, toy_alloc(world, 1, 1U << 31), -EOPNOTSUPP);
	world->ucmd.ubuffer += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, toy_alloc(world, 1, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, toy_say(world, 1), -EOPNOTSUPP);
	world->ucmd.ubuffer -= PAGE_SIZE;

	/* The second queue of a type fails and does not hurt the first */
	toy_open(test, world, 1);
	KUNIT_EXPECT_EQ(test, toy_alloc(world, 1, 0), -EEXIST);
	KUNIT_EXPECT_EQ(test, toy_say(world, 1), 0);
	__fput_sync(world->filep);
	toy_end(world, world->obj);
	toy_done(test, world);
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(test_ring_class),
	KUNIT_CASE(test_ring_class_failed_alloc),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "iommufd_eventq_ring",
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);
